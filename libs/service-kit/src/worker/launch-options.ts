/** From sources (tests) the entry is the .ts file, and Node needs to be told how to find and strip such files. */
export function launchOptions(entry: URL): { file: URL; execArgv: string[] | undefined } {
  if (!import.meta.url.endsWith('.ts')) return { file: entry, execArgv: undefined };
  const hooks = new URL('./source-hooks.mjs', import.meta.url).href;
  return {
    file: new URL(entry.href.replace(/\.js$/, '.ts')),
    execArgv: [
      '--experimental-transform-types',
      '--disable-warning=ExperimentalWarning',
      '--conditions=@luthier/source',
      '--import',
      hooks,
    ],
  };
}
