// The texts that stand in a Rust source: what the program says is written
// there, with braces for values. For the rule that each is in the catalogue.

/** String literals of a source without its tests; `of` are names of calls whose texts alone are wanted. */
export function literals(source: string, of: readonly string[] = []): string[] {
  const program = source.split(/^#\[cfg\(test\)\]\s*mod /m)[0] ?? "";
  const tokens = [...program.matchAll(/\/\/.*|"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\\n]|\\.)'|[()]|[\w:.!]+/g)];
  const found: string[] = [];
  let [depth, within] = [0, null as number | null];
  tokens.forEach(([token], at) => {
    if (token === "(") {
      depth += 1;
      if (within === null && of.some((name) => tokens[at - 1]?.[0].endsWith(name))) within = depth;
    } else if (token === ")") {
      if (within === depth) within = null;
      depth -= 1;
    } else if (token.startsWith('"') && (of.length === 0 || within !== null)) found.push(unescaped(token.slice(1, -1)));
  });
  return found;
}

function unescaped(literal: string): string {
  return literal.replace(/\\\r?\n\s*/g, "").replace(/\\(["\\])/g, "$1").replaceAll("\\n", "\n");
}

/** Whether a person reads it: several words, with letters of their own. */
export function isSentence(literal: string): boolean {
  return /\p{L}{2,}[,:;]? \p{L}|\} \p{L}{2}|\p{L}{2} \{/u.test(literal);
}
