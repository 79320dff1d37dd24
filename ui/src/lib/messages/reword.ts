// Sentences of the program in another language. Pure.
//
// The program says what it found in English, and so it stands in results and
// files, of other versions and other machines too. A phrase is such a sentence
// as the program's source has it, with braces for the values, and the words for
// it: `{0}` is the first value. What no phrase fits stays as it came.

/** The sentence, the words, and what a value means in this sentence alone. */
export type Phrase = readonly [said: string, words: string, values?: Readonly<Record<string, string>>];

interface Pattern {
  pattern: RegExp;
  words: string;
  values: Readonly<Record<string, string>>;
  /** Letters outside of values: a sentence is what most of it says. */
  weight: number;
}

const QUANTITY = /^[\d.,]+(?:[–-][\d.,]+)?(?:×|\s?(?:ns|µs|ms|s|B|KiB|MiB|GiB|TiB|%))?$/;

export class Phrases {
  #patterns: Pattern[];

  constructor(phrases: readonly Phrase[]) {
    this.#patterns = phrases.map(compiled).sort((a, b) => b.weight - a.weight);
  }

  /** A text of one or more sentences. */
  reword(text: string): string {
    const ends = [...text.matchAll(/[.!?]\)?(?= +[\p{Lu}`])/gu)].map((end) => end.index + end[0].length);
    ends.push(text.length);
    const found: string[] = [];
    let [from, left] = [0, 0];
    while (left < ends.length) {
      // As few sentences as a phrase fits, so that none is taken for a value.
      let taken = left;
      let words: string | null = null;
      while (words === null && taken < ends.length) {
        const part = text.slice(from, ends[taken++]).trim();
        words = this.#whole(part, taken < ends.length);
      }
      if (words === null) taken = left + 1;
      found.push(words ?? text.slice(from, ends[left]).trim());
      from = ends[taken - 1]!;
      left = taken;
    }
    return found.join(" ");
  }

  /** With `followed` a value does not take the end of the sentence: the phrase goes on. */
  #whole(text: string, followed = false): string | null {
    for (const { pattern, words, values } of this.#patterns) {
      const match = pattern.exec(text);
      if (match && !(followed && match.length > 1 && text.endsWith(".") && match.at(-1)?.endsWith("."))) return words.replace(/\{(\d)\}/g, (_, at: string) => this.#value(match[Number(at) + 1] ?? "", values));
    }
    return null;
  }

  #value(value: string, own: Readonly<Record<string, string>>): string {
    if (Object.hasOwn(own, value)) return own[value] ?? value;
    if (QUANTITY.test(value)) return value.replace(/(\d)\.(?=\d)/g, "$1,");
    // Places are listed, and no words of any language.
    if (/^\/\S*( or \/\S*)+$/.test(value)) return value.replaceAll(" or ", ` ${this.reword("or")} `);
    // A list whose every part is known is no value with a semicolon in it.
    const parts = value.split("; ").map((part) => this.#whole(part));
    if (parts.length > 1 && parts.every((part) => part !== null)) return parts.join("; ");
    const whole = this.#whole(value);
    if (whole !== null) return whole;
    return value.includes("; ") ? value.split("; ").map((part) => this.#value(part, own)).join("; ") : this.reword(value);
  }
}

function compiled([said, words, values = {}]: Phrase): Pattern {
  const parts = said.split(/\{[^{}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return { pattern: new RegExp(`^${parts.join("([\\s\\S]*?)")}$`), words, values, weight: parts.join("").length };
}
