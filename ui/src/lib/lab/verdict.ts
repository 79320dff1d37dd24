// The sentence that a result comes down to. Pure.

import type { Comparison } from "../bindings/Comparison";
import type { LaneReport } from "../bindings/LaneReport";
import type { ResultDocument } from "../bindings/ResultDocument";
import { ratio } from "../format";
import { FIRST_RESPONSE } from "./run";

export interface Conclusion {
  /** The big number, `24.4×`. */
  number: string;
  /** Who was how much sooner. */
  sentence: string;
  /** Interval and number of trials. */
  evidence: string;
}

/** What the race says about container and VM, or else its first two lanes; null when one of them was not measured. */
export function conclude(result: ResultDocument): Conclusion | null {
  const comparison = main(result);
  if (!comparison) return null;
  const [faster, slower, times, [low, high]] = ordered(comparison);
  const counts = result.summary
    .filter((one) => one.metric === FIRST_RESPONSE && (one.lane === faster || one.lane === slower))
    .map((one) => one.n);
  const trials = counts.every((count) => count === counts[0]) ? `n = ${counts[0]} a lane` : `n = ${counts.join(" and ")}`;
  const alone = counts.some((count) => count < 2);
  const evidence = alone ? `one trial a lane, so no interval` : `95 % interval ${ratio(low)}–${ratio(high)}, ${trials}`;
  const tie = !alone && low <= 1 && high >= 1;
  const sentence = tie
    ? "No difference in the first answer can be told apart from chance"
    : `${name(result, faster)} answered ${ratio(times)} times sooner`;
  return { number: `${ratio(times)}×`, sentence, evidence };
}

/** The caveat that belongs right under the sentence. */
export function caveat(result: ResultDocument): string {
  const emulated = result.lanes.some((lane) => lane.accelerator === "tcg");
  const how = emulated
    ? "The virtual machine ran under software emulation, so the ratio is not the hypervisor's: with KVM it would be smaller. "
    : "";
  const kernel = result.lanes.some((lane) => lane.backend === "vm")
    ? "Isolation is not on this chart: a virtual machine has a kernel of its own, a container shares this machine's."
    : "";
  return how + kernel;
}

function main(result: ResultDocument): Comparison | undefined {
  const races = result.comparisons.filter((one) => one.metric === FIRST_RESPONSE);
  const backend = (id: string) => result.lanes.find((lane) => lane.id === id)?.backend;
  const pair = (one: Comparison) => [backend(one.a), backend(one.b)].sort().join() === "container,vm";
  return races.find(pair) ?? races[0];
}

/** The faster lane first, and a ratio of at least one. */
function ordered({ a, b, ratio, ci95 }: Comparison): [string, string, number, [number, number]] {
  return ratio >= 1 ? [a, b, ratio, ci95] : [b, a, 1 / ratio, [1 / ci95[1], 1 / ci95[0]]];
}

function name(result: ResultDocument, id: string): string {
  const lane: LaneReport | undefined = result.lanes.find((one) => one.id === id);
  switch (lane?.backend) {
    case "container":
      return "The container";
    case "vm":
      return "The virtual machine";
    case "docker":
      return "Docker's container";
    case "podman":
      return "Podman's container";
    case "process":
      return "The plain process";
    default:
      return id;
  }
}
