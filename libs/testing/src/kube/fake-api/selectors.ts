import type { StoredObject } from './store.js';
import { badRequest } from './status.js';

export type Match = (object: StoredObject) => boolean;

/** Label selectors: `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`, joined by commas. */
export function labelMatch(selector: string): Match {
  const terms = selector.match(/(?:[^,(]|\([^)]*\))+/g) ?? [];
  const checks = terms.map((term) => labelTerm(term.trim()));
  return (object) => checks.every((check) => check(object.metadata.labels ?? {}));
}

function labelTerm(term: string): (labels: Record<string, string>) => boolean {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set) {
    const [, key = '', word, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    return (labels) => values.includes(labels[key] ?? '\0') === (word === 'in');
  }
  const pair = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(term);
  if (pair) {
    const [, key = '', sign, value = ''] = pair;
    return (labels) => (labels[key] === value) === (sign !== '!=');
  }
  if (/^!\S+$/.test(term)) return (labels) => !(term.slice(1) in labels);
  if (/^\S+$/.test(term)) return (labels) => term in labels;
  throw badRequest(`unable to parse requirement: ${term}`);
}

/** Field selectors: `metadata.name=x`, `spec.nodeName!=y`, joined by commas. */
export function fieldMatch(selector: string): Match {
  const checks = selector
    .split(',')
    .filter((term) => term !== '')
    .map((term) => {
      const [, path = '', sign, value = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(term) ?? [];
      if (!sign) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
      return (object: StoredObject) => (fieldOf(object, path) === value) === (sign !== '!=');
    });
  return (object) => checks.every((check) => check(object));
}

function fieldOf(object: unknown, path: string): string {
  let value = object;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null) return '';
    value = (value as Record<string, unknown>)[part];
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
