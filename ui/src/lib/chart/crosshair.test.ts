import { describe, expect, it } from "vitest";
import { nearest, place, type Series } from "./crosshair";

const scales = {
  width: 400,
  height: 200,
  panels: [
    {
      lane: null,
      plot: { x: 40, y: 10, width: 300, height: 150 },
      x: { domain: [0, 3e9] as [number, number], unit: "ns" },
      y: { domain: [0, 2] as [number, number], unit: "processors" },
    },
  ],
};
const lines: Series[] = [
  { lane: "container", name: "Container", tone: "container", points: [[0, 0.1], [1e8, 0.9], [2e8, 0.2]] },
  { lane: "vm/micro", name: "VM", tone: "vm", points: [[0, 0], [1e9, 1], [2e9, 1.5], [3e9, 0.1]] },
];

describe("the crosshair", () => {
  it("finds the value under the pointer", () => {
    expect(place(scales, { x: 190, y: 50 })).toMatchObject({ x: 1.5e9, px: 190, lane: null });
    expect(place(scales, { x: 20, y: 50 })).toBeNull();
    expect(place(scales, { x: 190, y: 180 })).toBeNull();
  });

  it("reads each line only where it has data", () => {
    expect(nearest(lines, 1.1e8, null).map((one) => [one.lane, one.y])).toEqual([["container", 0.9], ["vm/micro", 0]]);
    expect(nearest(lines, 1.9e9, null).map((one) => [one.lane, one.y])).toEqual([["vm/micro", 1.5]]);
    expect(nearest(lines, 1e8, "vm/micro").map((one) => one.lane)).toEqual(["vm/micro"]);
    expect(nearest([], 0, null)).toEqual([]);
  });
});
