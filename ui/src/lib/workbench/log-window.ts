// A long log of which only what is seen is in the document. Pure.
//
// Lines break after a fixed number of characters, so how many rows a line takes
// is known without laying it out. Where letters are wider than that, rows below
// them in the window lie a little lower, and the next window sets it right.

/** What of a log is seen, in rows of the text. */
export interface Seen {
  /** Characters in a row. */
  columns: number;
  /** Rows above what is seen, and rows that are seen. */
  top: number;
  rows: number;
}

/** The lines to draw, and how far down they begin. */
export interface Window {
  text: string;
  /** Rows above the text. */
  above: number;
}

/** Rows that are drawn above and below what is seen, and by which the window moves on. */
const MARGIN = 8;

/** Characters of a longer line that stand on one line. */
const LONGEST = 4000;

/** A line as it is kept: one that nobody could read in one go is several. */
export function parts(line: string): string[] {
  if (line.length <= LONGEST) return [line];
  return Array.from({ length: Math.ceil(line.length / LONGEST) }, (_, at) => line.slice(at * LONGEST, (at + 1) * LONGEST));
}

/** Rows above each line, and at the end above the end. */
export function rowsAbove(lines: readonly string[], columns: number): Uint32Array {
  const above = new Uint32Array(lines.length + 1);
  for (let at = 0; at < lines.length; at += 1) {
    above[at + 1] = above[at]! + Math.max(1, Math.ceil(lines[at]!.length / columns));
  }
  return above;
}

/** What to draw so that `seen` is full; the same for rows near each other. */
export function windowOf(lines: readonly string[], above: Uint32Array, seen: Omit<Seen, "columns">): Window {
  const step = Math.floor(seen.top / MARGIN) * MARGIN;
  const from = lineAt(above, Math.max(0, step - MARGIN));
  const to = lineAt(above, step + seen.rows + 2 * MARGIN) + 1;
  return { text: lines.slice(from, to).join("\n"), above: above[from] ?? 0 };
}

/** The line that this row belongs to. */
function lineAt(above: Uint32Array, row: number): number {
  let [low, high] = [0, Math.max(0, above.length - 2)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (above[middle]! <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
