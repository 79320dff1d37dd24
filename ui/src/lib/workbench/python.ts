// Whether Python could read a text, by a grammar of the language.

import { parser } from "@lezer/python";

/** The line, from 1, of the first place that no Python has; null where there is none. */
export function mistakeIn(text: string): number | null {
  let before: string | null = null;
  parser.parse(text).iterate({
    enter: (node) => {
      if (before !== null) return false;
      // What is missing at the end of a line is found where the next one begins.
      if (node.type.isError) before = node.to > node.from ? text.slice(0, node.from) : text.slice(0, node.from).trimEnd();
      return true;
    },
  });
  return before === null ? null : (before as string).split("\n").length;
}
