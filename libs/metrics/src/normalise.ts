/** NFKC, lower case, one space between words, no separators inside numbers (1,000 and 1 000 are 1000). */
export function normaliseText(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/(?<=\d)[,'’ \u00a0\u202f](?=\d{3}(?!\d))/gu, '')
    .replace(/[^\p{L}\p{N}\p{M}.,%$€£¥+-]+/gu, ' ')
    .replace(/(?<!\d)[.,]|[.,](?!\d)/gu, ' ')
    .replace(/(?<=\p{L})-|-(?=\p{L})/gu, ' ')
    .replace(/\s+/gu, ' ')
    .trim();
}

const TOKEN =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]|(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}])[\p{L}\p{N}\p{M}])+/gu;

/** Units for ROUGE: words, and single characters where a script has no spaces. */
export function rougeTokens(text: string): string[] {
  return text.normalize('NFKC').toLowerCase().match(TOKEN) ?? [];
}
