import { describe, expect, it } from "vitest";
import { parts, rowsAbove, windowOf } from "./log-window";

const lines = (count: number) => Array.from({ length: count }, (_, at) => `line ${at}`);

describe("the window on a log", () => {
  it("draws what is seen and little more, however long the log is", () => {
    const all = lines(100_000);
    const above = rowsAbove(all, 80);
    expect(above.at(-1)).toBe(100_000);
    const middle = windowOf(all, above, { top: 50_000, rows: 12 });
    const drawn = middle.text.split("\n");
    expect(drawn[0]).toBe(`line ${middle.above}`);
    expect(middle.above).toBeLessThanOrEqual(50_000);
    expect(middle.above + drawn.length).toBeGreaterThanOrEqual(50_012);
    expect(drawn.length).toBeLessThan(120);
  });

  it("has the first line at the top and the last at the end", () => {
    const all = lines(1000);
    const above = rowsAbove(all, 80);
    expect(windowOf(all, above, { top: 0, rows: 12 })).toMatchObject({ above: 0, text: expect.stringMatching(/^line 0\n/) });
    expect(windowOf(all, above, { top: 988, rows: 12 }).text.endsWith("\nline 999")).toBe(true);
    // A browser may say so while a log becomes shorter.
    expect(windowOf(all, above, { top: 5000, rows: 12 }).text).toBe("line 999");
    expect(windowOf([], rowsAbove([], 80), { top: 0, rows: 12 })).toEqual({ text: "", above: 0 });
  });

  it("is the same while one scrolls a little", () => {
    const all = lines(1000);
    const above = rowsAbove(all, 80);
    expect(windowOf(all, above, { top: 481, rows: 12 })).toEqual(windowOf(all, above, { top: 487, rows: 12 }));
  });

  it("knows how many rows long lines take", () => {
    const above = rowsAbove(["", "x".repeat(80), "y".repeat(81), "z"], 80);
    expect([...above]).toEqual([0, 1, 2, 4, 5]);
  });

  it("loses nothing of a line that is too long to draw", () => {
    const long = "ab".repeat(5000);
    expect(parts(long).map((part) => part.length)).toEqual([4000, 4000, 2000]);
    expect(parts(long).join("")).toBe(long);
    expect(parts("")).toEqual([""]);
  });
});
