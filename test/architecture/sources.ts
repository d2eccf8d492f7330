import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const IGNORED = new Set(['node_modules', 'dist', '.next', '.turbo', '.git', 'migrations', 'coverage']);

export interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  path: string;
  text: string;
}

/** Files below `folder` whose name matches, read whole. */
export function filesIn(folder: string, name: RegExp): SourceFile[] {
  const found: SourceFile[] = [];
  const walk = (dir: string): void => {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (IGNORED.has(entry.name)) continue;
      const path = join(dir, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && name.test(entry.name)) {
        found.push({ path: relative(ROOT, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') });
      }
    }
  };
  const start = join(ROOT, folder);
  if (statSync(start, { throwIfNoEntry: false })) walk(start);
  return found;
}

/** TypeScript of libraries and services. */
export const productSources = (): SourceFile[] =>
  ['libs', 'services', 'web'].flatMap((folder) => filesIn(folder, /\.tsx?$/));
export const isTest = (path: string): boolean =>
  /\.test\.tsx?$/.test(path) || path.startsWith('libs/testing/') || /\/testing\//.test(path);

export interface PackageManifest {
  name: string;
  folder: string;
  dependencies: string[];
  devDependencies: string[];
}

export function manifests(): PackageManifest[] {
  return ['libs', 'services']
    .flatMap((area) => readdirSync(join(ROOT, area)).map((name) => `${area}/${name}`))
    .concat('web')
    .filter((folder) => statSync(join(ROOT, folder, 'package.json'), { throwIfNoEntry: false }))
    .map((folder) => {
      const json = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as {
        name: string;
        dependencies?: Record<string, string>;
        optionalDependencies?: Record<string, string>;
        devDependencies?: Record<string, string>;
      };
      return {
        name: json.name,
        folder,
        dependencies: Object.keys({ ...json.dependencies, ...json.optionalDependencies }),
        devDependencies: Object.keys(json.devDependencies ?? {}),
      };
    });
}
