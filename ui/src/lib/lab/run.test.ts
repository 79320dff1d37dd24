import { describe, expect, it } from "vitest";
import type { ResultDocument } from "../bindings/ResultDocument";
import type { RunEvent } from "../bindings/RunEvent";
import { apply, begun, isActive, progress, racing, type RunState } from "./run";
import { facts, headline, laneKey, laneName, phases, status, tone } from "./lane";
import { statusText } from "./status";

const PLANNED: RunEvent = {
  type: "planned",
  experiment: "compare",
  image: "hello-flask:latest",
  digest: "sha256:9f3c",
  base_substituted: "localhost/tandem/python:3.11-bookworm",
  lanes: [
    { id: "container", lane: "container", accelerator: null, unavailable: null },
    { id: "vm/micro", lane: "vm/micro", accelerator: "tcg", unavailable: null },
  ],
  trials: 2,
  warmup: 1,
};

function played(...events: [number, RunEvent][]): RunState {
  const run = begun(0);
  for (const [at, event] of events) apply(run, event, at);
  return run;
}

const started = (lane: string, index: number): RunEvent => ({ type: "trial_started", lane, index, warmup: index === 0 });
const answered = (lane: string, index: number, ms: number): RunEvent => ({
  type: "first_response", lane, index, elapsed_ns: ms * 1e6, url: "http://127.0.0.1:8080/",
});
const over = (lane: string, index: number): RunEvent => ({ type: "trial_finished", lane, index, outcome: "measured", reason: null });

function first<T>(list: T[]): T {
  const [one] = list;
  if (one === undefined) throw new Error("the list is empty");
  return one;
}

describe("preparing", () => {
  it("shows steps with their times and logs, one after the other", () => {
    const run = played(
      [0, { type: "preparing", step: "bootstrap", message: "making a base" }],
      [50, { type: "log", step: "bootstrap", line: "I: unpacking" }],
      [2000, { type: "preparing", step: "build", message: "step 1 of 5: FROM" }],
      [2500, { type: "preparing", step: "build", message: "step 2 of 5: COPY" }],
    );
    expect(run.steps.map((step) => [step.name, step.startedAt, step.endedAt])).toEqual([["bootstrap", 0, 2000], ["build", 2000, null]]);
    expect(first(run.steps).log).toEqual(["I: unpacking"]);
    expect(statusText(run)).toBe("Preparing: step 2 of 5: COPY");
  });

  it("keeps the end of an endless log and counts what it dropped", () => {
    const run = begun(0);
    for (let at = 0; at < 2500; at++) apply(run, { type: "log", step: "build", line: `line ${at}` }, at);
    const step = first(run.steps);
    expect([step.log.length, step.dropped, step.log.at(-1)]).toEqual([2000, 500, "line 2499"]);
  });
});

describe("racing", () => {
  it("follows a launch phase by phase", () => {
    const run = played(
      [0, PLANNED],
      [1000, started("container", 1)],
      [1000, { type: "phase", lane: "container", index: 1, name: "launch", start_ns: 0, end_ns: 0 }],
      [1003, { type: "phase", lane: "container", index: 1, name: "rootfs", start_ns: 0, end_ns: 3e6 }],
    );
    const lane = first(run.lanes);
    expect(racing(run)?.id).toBe("container");
    expect(status(lane, run)).toBe("launching");
    expect(phases(lane, 10e6, true)).toEqual([
      { name: "launch", state: "over", took: 0 },
      { name: "rootfs", state: "over", took: 3e6 },
      { name: "network", state: "now", took: 7e6 },
      { name: "create", state: "ahead", took: null },
      { name: "app", state: "ahead", took: null },
    ]);
    expect(headline(lane, run, 10e6)).toEqual({ ns: 10e6, ticking: true, note: "trial 1 of 2" });
    expect(progress(run)).toEqual({ over: 0, all: 4 });
  });

  it("expects more of a machine with an operating system of its own", () => {
    const run = played([0, PLANNED], [1000, started("vm/micro", 1)]);
    const lane = { ...run.lanes[1]!, id: "vm/full@tcg" };
    expect(phases(lane, 1e9, true).map(({ name }) => name)).toContain("systemd");
    expect([laneName(lane), laneKey(lane)]).toEqual(["Virtual machine · full", "vm-full"]);
    expect([laneName(run.lanes[1]!), laneKey(run.lanes[1]!)]).toEqual(["Virtual machine · micro", "vm"]);
  });

  it("gives a second machine the colour that the charts give it", () => {
    const lanes = ["container", "vm/micro", "vm/full", "container#2"].map((id) => ({ id, backend: id.startsWith("vm") ? "vm" : "container" }) as const);
    expect(lanes.map((lane) => tone(lane, lanes))).toEqual(["container", "vm", "docker", "podman"]);
    expect(tone(lanes[2]!, [lanes[2]!])).toBe("vm");
  });

  it("stops the clock at the first answer", () => {
    const run = played([0, PLANNED], [1000, started("vm/micro", 1)], [9310, answered("vm/micro", 1, 8310)]);
    const lane = run.lanes[1]!;
    expect(headline(lane, run, 99e9)).toEqual({ ns: 8310e6, ticking: false, note: "to the first answer · trial 1 of 2 · emulated" });
    expect(status(lane, run)).toBe("answered");
  });

  it("shows the estimate between trials, and failures with their reason", () => {
    const run = played(
      [0, PLANNED],
      [1, started("container", 1)],
      [2, answered("container", 1, 300)],
      [3, over("container", 1)],
      [3, { type: "estimate", lane: "container", metric: "first_response", n: 2, median: 350e6, ci95: [300e6, 400e6] }],
      [3, { type: "estimate", lane: "container", metric: "memory_host", n: 2, median: 1, ci95: [1, 1] }],
      [4, started("vm/micro", 1)],
      [60_000, { type: "trial_finished", lane: "vm/micro", index: 1, outcome: "failed", reason: "no answer within 60 s" }],
    );
    const [container, vm] = [run.lanes[0]!, run.lanes[1]!];
    expect(headline(container, run, 0)).toMatchObject({ ns: 350e6, note: "to the first answer · median of 2" });
    expect(status(vm, run)).toBe("failed");
    expect(vm.trial?.reason).toBe("no answer within 60 s");
    expect(progress(run).over).toBe(2);
  });

  it("ignores events of another trial and of unknown lanes", () => {
    const run = played([0, PLANNED], [1, started("container", 1)], [2, answered("container", 0, 5)], [2, answered("ghost", 1, 5)]);
    expect(run.lanes[0]!.trial?.firstResponse).toBeNull();
  });
});

describe("the end", () => {
  it("takes the medians of the result, which knows better", () => {
    const summary = { lane: "container", metric: "first_response", unit: "ns", n: 2, median: 340e6, mean: 340e6, stddev: null, ci95: [330e6, 350e6], min: 0, max: 0, outliers: 0 };
    const result = { summary: [summary], lanes: [{ id: "container", accelerator: null }], warnings: ["noisy"], comparisons: [], verdicts: [] } as unknown as ResultDocument;
    const run = played([0, PLANNED], [1, started("container", 1)], [5, { type: "finished", result }]);
    expect(isActive(run)).toBe(false);
    expect(run.lanes[0]!.estimates["first_response"]?.median).toBe(340e6);
    expect(run.warnings).toEqual(["noisy"]);
  });

  it("tells a cancel from an error and says what was cleaned", () => {
    const stopped = (code: "cancelled" | "port_in_use"): RunEvent => ({ type: "stopped", error: { code, message: "m" }, cleaned: ["one container"] });
    expect(statusText(played([0, stopped("cancelled")]))).toBe("Cancelled; cleaned up one container");
    expect(played([0, stopped("port_in_use")]).stage).toBe("failed");
  });

  it("tells live values first, then medians, and a dash for what is not known", () => {
    const estimate = (metric: string, median: number): RunEvent => ({ type: "estimate", lane: "container", metric, n: 1, median, ci95: [median, median] });
    const run = played([0, PLANNED], [1, estimate("image_bytes", 214 * 2 ** 20)], [1, estimate("memory_host", 2 ** 20)]);
    const told = () => Object.fromEntries(facts(run.lanes[0]!).map((fact) => [fact.name, fact.value.replace("\u00a0", " ")]));
    expect(told()).toEqual({ Memory: "1.0 MiB", Processor: "–", "Disk it added": "–", "Image, shared": "214 MiB" });
    apply(run, started("container", 1), 2);
    apply(run, { type: "sample", lane: "container", index: 1, at_ns: 1, cpus: 0.5, memory: 27 * 2 ** 20 }, 3);
    expect(told()).toMatchObject({ Memory: "27.0 MiB", Processor: "50 %" });
  });
});
