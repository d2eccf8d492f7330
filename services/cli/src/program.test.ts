import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { luthierProgram } from './program.js';

const page = readFileSync(new URL('../../../docs/reference/cli.md', import.meta.url), 'utf8');

/** The flags in the first column of the tables of each section, by its heading's `luthier NAME`; shared ones under ''. */
function documented(): Map<string, string[]> {
  const sections = page.split(/^## /m).slice(1);
  return new Map(
    sections.flatMap((section) => {
      const [heading = ''] = section.split('\n', 1);
      const name =
        /`luthier ([a-z ]+?)(?: <[^`]*)?`/.exec(heading)?.[1] ?? (heading.startsWith('Client') ? '' : undefined);
      const flags = [...section.matchAll(/^\|\s*`(--[a-z-]+)/gm)].map(([, flag]) => flag ?? '');
      return name === undefined ? [] : [[name, flags] as const];
    }),
  );
}

describe('docs/reference/cli.md', () => {
  const commands = luthierProgram().commands.flatMap((command) => [
    { name: command.name(), command },
    ...command.commands.map((one) => ({ name: `${command.name()} ${one.name()}`, command: one })),
  ]);
  const sections = documented();

  it('has a section for every command, and none for a command that does not exist', () => {
    expect([...sections.keys()].filter((name) => name !== '').sort()).toEqual(commands.map(({ name }) => name).sort());
  });

  it.each(commands.map(({ name, command }) => [name, command] as const))(
    'has a row for every flag of "%s", and no other',
    (name, command) => {
      const flags = command.options.map(({ long }) => long ?? '');
      const shared = flags.includes('--url') ? (sections.get('') ?? []) : [];
      expect([...(sections.get(name) ?? []), ...shared].sort()).toEqual([...flags].sort());
    },
  );
});
