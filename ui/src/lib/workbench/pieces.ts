// A long log in pieces, of which only those that are seen are laid out. Pure.

/** A line of a log with its number, counted from the first that came. */
export interface NumberedLine {
  at: number;
  text: string;
}

/** Lines that are drawn together. */
export interface Piece {
  /** The same for the same lines, whatever is before them. */
  key: number;
  /** Number of its first line, and how many there are. */
  first: number;
  count: number;
  text: string;
}

/** Lines in a piece, as many as a screen has at most. */
const SIZE = 200;

/** The lines in pieces. `before` are pieces of fewer or other lines of the same search; what is in both is taken from there. */
export function pieces(lines: readonly NumberedLine[], before: readonly Piece[]): Piece[] {
  const known = new Map(before.map((piece) => [piece.key, piece]));
  const found: Piece[] = [];
  let from = 0;
  while (from < lines.length) {
    const first = lines[from]!.at;
    const key = Math.floor(first / SIZE);
    let to = from + 1;
    while (to < lines.length && Math.floor(lines[to]!.at / SIZE) === key) to += 1;
    const old = known.get(key);
    if (old?.first === first && old.count === to - from) found.push(old);
    else found.push({ key, first, count: to - from, text: lines.slice(from, to).map((line) => line.text).join("\n") });
    from = to;
  }
  return found;
}
