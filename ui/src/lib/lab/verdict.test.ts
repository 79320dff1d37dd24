import { describe, expect, it } from "vitest";
import type { ResultDocument } from "../bindings/ResultDocument";
import { caveat, conclude } from "./verdict";

function result(ratio: number, ci95: [number, number], n = 10): ResultDocument {
  return {
    lanes: [
      { id: "container", backend: "container", accelerator: null },
      { id: "vm/micro", backend: "vm", accelerator: "tcg" },
    ],
    summary: ["container", "vm/micro"].map((lane) => ({ lane, metric: "first_response", n })),
    comparisons: [{ metric: "first_response", a: "container", b: "vm/micro", ratio, ci95 }],
    verdicts: [],
  } as unknown as ResultDocument;
}

describe("the sentence that a result comes down to", () => {
  it("says who was sooner, with interval and n", () => {
    expect(conclude(result(24.4, [22.9, 25.8]))).toEqual({
      number: "24.4×",
      sentence: "The container answered 24.4 times sooner",
      evidence: "95 % interval 22.9–25.8, n = 10 a lane",
    });
  });

  it("turns a ratio below one round, its interval too", () => {
    const said = conclude(result(0.5, [0.4, 0.8]));
    expect(said?.sentence).toBe("The virtual machine answered 2.00 times sooner");
    expect(said?.evidence).toContain("1.25–2.50");
  });

  it("claims no difference that chance may have made, and no interval from one trial", () => {
    expect(conclude(result(1.1, [0.9, 1.3]))?.sentence).toMatch(/^No difference/);
    expect(conclude(result(20, [20, 20], 1))?.evidence).toBe("one trial a lane, so no interval");
    expect(conclude({ ...result(1, [1, 1]), comparisons: [] })).toBeNull();
  });

  it("never leaves out that a machine was emulated", () => {
    expect(caveat(result(2, [1.9, 2.1]))).toMatch(/emulation/);
  });

  it("speaks of container and VM even when the baseline comes first", () => {
    const three = result(24, [23, 25]);
    const process = { id: "process", backend: "process", accelerator: null } as (typeof three.lanes)[number];
    three.lanes.unshift(process);
    three.comparisons.unshift({ metric: "first_response", a: "process", b: "container", ratio: 1.1, ci95: [1, 1.2] });
    expect(conclude(three)?.number).toBe("24.0×");
  });
});
