// The sentence that a result comes down to. Pure.

import type { Comparison } from "../bindings/Comparison";
import type { LaneReport } from "../bindings/LaneReport";
import type { ResultDocument } from "../bindings/ResultDocument";
import { ratio } from "../format";
import { say } from "../messages";
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
  const trials = counts.every((count) => count === counts[0]) ? say.lab.eachN(counts[0] ?? 0) : say.lab.severalN(counts);
  const alone = counts.some((count) => count < 2);
  const evidence = alone ? say.lab.oneTrial : say.lab.evidence(`${ratio(low)}–${ratio(high)}`, trials);
  const tie = !alone && low <= 1 && high >= 1;
  const sentence = tie ? say.lab.tie : say.lab.sooner(name(result, faster), ratio(times));
  return { number: `${ratio(times)}×`, sentence, evidence };
}

/** The caveat that belongs right under the sentence. */
export function caveat(result: ResultDocument): string {
  const emulated = result.lanes.some((lane) => lane.accelerator === "tcg");
  const machine = result.lanes.some((lane) => lane.backend === "vm");
  return (emulated ? say.lab.emulatedCaveat : "") + (machine ? say.lab.isolationCaveat : "");
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
  return lane ? say.lab.who[lane.backend] : id;
}
