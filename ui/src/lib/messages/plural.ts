// The form of a word that goes with a number, by the rules of a language
// (Unicode CLDR, as the browser has them).

/** Chooses between one and several in a language. */
export function plural(language: string): (count: number, one: string, other: string) => string {
  const rules = new Intl.PluralRules(language);
  return (count, one, other) => (rules.select(count) === "one" ? one : other);
}
