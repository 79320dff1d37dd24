import { describe, expect, it } from "vitest";
import { type NumberedLine, pieces } from "./pieces";

const lines = (from: number, to: number): NumberedLine[] => Array.from({ length: to - from }, (_, at) => ({ at: from + at, text: `line ${from + at}` }));

describe("pieces of a log", () => {
  it("have every line once, in order", () => {
    const found = pieces(lines(150, 1000), []);
    expect(found.map((piece) => piece.text).join("\n")).toBe(lines(150, 1000).map((line) => line.text).join("\n"));
    expect(found.map((piece) => piece.count)).toEqual([50, 200, 200, 200, 200]);
    expect(pieces([], found)).toEqual([]);
  });

  it("stay the same when lines come at the end or go at the beginning", () => {
    const before = pieces(lines(0, 1050), []);
    const after = pieces(lines(300, 1100), before);
    expect(after.slice(1, 4)).toEqual(before.slice(2, 5));
    expect(after[1]).toBe(before[2]);
    expect(after[0]?.text.startsWith("line 300\n")).toBe(true);
    expect(after.at(-1)?.text.endsWith("line 1099")).toBe(true);
  });

  it("hold what a search leaves of them", () => {
    const even = lines(0, 1000).filter((line) => line.at % 2 === 0);
    const found = pieces(even, []);
    expect(found.map((piece) => piece.count)).toEqual([100, 100, 100, 100, 100]);
    expect(found[1]?.text.startsWith("line 200\nline 202\n")).toBe(true);
  });
});
