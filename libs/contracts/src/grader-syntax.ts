/** What is wrong with a template or a formula, as the end of a sentence. */
export class GraderSyntaxError extends Error {
  override readonly name = 'GraderSyntaxError';
}

const ANSWER = 'sample.output_text';
const FIELD = /^item((?:\.[A-Za-z0-9_-]{1,64}){1,8})$/;

/**
 * The fields of a row that a template fills in, as paths below the row: `{{item.answer.text}}` gives `answer.text`.
 * @throws GraderSyntaxError that names the place.
 */
export function templateFields(text: string): string[] {
  const fields: string[] = [];
  let opening = text.indexOf('{{');
  while (opening >= 0) {
    const closing = text.indexOf('}}', opening);
    if (closing < 0) throw new GraderSyntaxError(`"{{" at character ${opening + 1} is not closed`);
    const name = text.slice(opening + 2, closing).trim();
    const path = FIELD.exec(name)?.[1]?.slice(1);
    if (path !== undefined) fields.push(path);
    else if (name !== ANSWER) {
      const place = `"${name.slice(0, 100)}" at character ${opening + 1}`;
      throw new GraderSyntaxError(`${place} cannot be filled in; write {{${ANSWER}}} or {{item.<field>}}`);
    }
    opening = text.indexOf('{{', closing + 2);
  }
  return fields;
}

const DEPTH_MAX = 32;
const TOKEN = /\s*(?:(\d+(?:\.\d+)?|\.\d+)|([A-Za-z_][A-Za-z0-9_]*)|([-+*/^(),]))/y;
/** How many values each takes at most. */
const FUNCTIONS: ReadonlyMap<string, number> = new Map(
  Object.entries({ min: 16, max: 16, abs: 1, floor: 1, ceil: 1, exp: 1, sqrt: 1, log: 1 }),
);

interface Token {
  readonly text: string;
  readonly kind: 'number' | 'name' | 'sign';
  /** From 1. */
  readonly place: number;
}

/**
 * Reads a formula over the scores of graders: numbers, their names, + - * / ^, brackets, and a few functions.
 * @throws GraderSyntaxError that names the place.
 */
export function checkFormula(text: string, names: readonly string[]): void {
  new FormulaReader(text, names).whole();
}

/** By descent: a sum of products of powers. It only reads: a runtime computes. */
class FormulaReader {
  private readonly tokens: readonly Token[];
  private at = 0;
  private depth = 0;

  constructor(
    text: string,
    private readonly names: readonly string[],
  ) {
    this.tokens = tokensOf(text);
  }

  whole(): void {
    this.sum();
    if (this.next) throw this.misplaced();
  }

  private get next(): Token | undefined {
    return this.tokens[this.at];
  }

  private takes(...signs: string[]): boolean {
    const found = this.next?.kind === 'sign' && signs.includes(this.next.text);
    if (found) this.at += 1;
    return found;
  }

  private nested(read: () => void): void {
    this.depth += 1;
    if (this.depth > DEPTH_MAX) throw new GraderSyntaxError(`it lies more than ${DEPTH_MAX} brackets or powers deep`);
    read();
    this.depth -= 1;
  }

  private sum(): void {
    this.nested(() => {
      do this.product();
      while (this.takes('+', '-'));
    });
  }

  private product(): void {
    do this.signed();
    while (this.takes('*', '/'));
  }

  private signed(): void {
    while (this.takes('+', '-'));
    this.atom();
    if (this.takes('^')) this.nested(() => this.signed());
  }

  private atom(): void {
    const token = this.next;
    if (!token) throw this.misplaced();
    if (this.takes('(')) {
      this.sum();
      if (!this.takes(')')) throw this.misplaced('; ")" is missing');
      return;
    }
    if (token.kind === 'sign') throw this.misplaced();
    this.at += 1;
    if (token.kind === 'number') return;
    if (this.takes('(')) return this.call(token);
    if (!this.names.includes(token.text)) {
      const said = `"${token.text.slice(0, 64)}" at character ${token.place} is not the name of a grader`;
      throw new GraderSyntaxError(`${said}; there are ${this.names.join(', ')}`);
    }
  }

  private call({ text, place }: Token): void {
    const most = FUNCTIONS.get(text);
    const name = `"${text.slice(0, 64)}" at character ${place}`;
    if (most === undefined) throw new GraderSyntaxError(`${name} is not one of ${[...FUNCTIONS.keys()].join(', ')}`);
    let count = 0;
    do {
      this.sum();
      count += 1;
    } while (this.takes(','));
    if (!this.takes(')')) throw this.misplaced('; ")" is missing');
    if (count > most) throw new GraderSyntaxError(`${name} takes ${most} at most, not ${count}`);
  }

  private misplaced(more = ''): GraderSyntaxError {
    const { next } = this;
    const said = next
      ? `"${next.text}" at character ${next.place} stands in the wrong place`
      : 'the formula ends too early';
    return new GraderSyntaxError(`${said}${more}`);
  }
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (text.slice(at).trim() !== '') {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (!found) {
      const place = at + text.slice(at).search(/\S/);
      throw new GraderSyntaxError(`"${text[place] ?? ''}" at character ${place + 1} does not belong into a formula`);
    }
    const [whole, number, name, sign] = found;
    const token = number ?? name ?? sign ?? '';
    const kind = number !== undefined ? 'number' : name !== undefined ? 'name' : 'sign';
    at += whole.length;
    tokens.push({ text: token, kind, place: at - token.length + 1 });
  }
  return tokens;
}
