// What a lane's card says, worked out from its state. Pure.

import type { BackendKind } from "../bindings/BackendKind";
import type { TrialPhase } from "../bindings/TrialPhase";
import type { Curve } from "../bindings/Curve";
import type { Series } from "../chart/crosshair";
import { bytes, share, text } from "../format";
import { known, say } from "../messages";
import { expected, isFull } from "./phases";
import { FIRST_RESPONSE, fresh, isActive, type LaneState, type RunState } from "./run";

export type LaneStatus = "idle" | "waiting" | "launching" | "answered" | "measured" | "running" | "failed" | "unavailable" | "stopped";

/** Where a lane stands, for its word and its mark. */
export function status(lane: LaneState, run: RunState): LaneStatus {
  if (lane.unavailable !== null) return "unavailable";
  if (lane.kept?.up) return "running";
  const trial = lane.trial;
  if (!trial) return isActive(run) ? "waiting" : "idle";
  if (trial.outcome === null) {
    if (!isActive(run)) return "stopped";
    return trial.firstResponse === null ? "launching" : "answered";
  }
  if (trial.outcome !== "measured") return "failed";
  return isActive(run) ? "measured" : "stopped";
}

export function statusWord(status: LaneStatus): string {
  return say.lane.status[status];
}

/** The name of the lane's card in tests. */
export function laneKey(lane: { id: string; backend: string }): string {
  return isFull(lane) ? "vm-full" : lane.backend;
}

/** The lane's name for people. */
export function laneName(lane: { id: string; backend: string }): string {
  const number = /#(\d+)$/.exec(lane.id)?.[1];
  const kind = lane.backend === "vm" ? (isFull(lane) ? "vm-full" : "vm-micro") : lane.backend;
  const name = known(say.lane.names, kind) ?? lane.id;
  return number ? `${name} (${number})` : name;
}

/** Colours for a lane whose backend's own one is taken. */
const OTHERS: readonly BackendKind[] = ["docker", "podman"];

/** The colour of a lane among these, by the rule of the charts: the second machine has the next free one. */
export function tone(lane: { id: string; backend: BackendKind }, among: readonly { id: string; backend: BackendKind }[]): BackendKind {
  const taken = new Set<BackendKind>();
  for (const one of among) {
    const number = Number(/#(\d+)$/.exec(one.id)?.[1] ?? 1);
    const wanted = number >= 2 ? OTHERS[(number - 2) % OTHERS.length]! : one.backend;
    const own = taken.has(wanted) ? (OTHERS.find((other) => !taken.has(other)) ?? wanted) : wanted;
    if (one.id === lane.id) return own;
    taken.add(own);
  }
  return lane.backend;
}

/** A phase as a card shows it: over, going on, or still to come. */
export interface PhaseView {
  name: string;
  state: "over" | "now" | "ahead";
  /** Nanoseconds it took, or has taken until now; null when still to come. */
  took: number | null;
}

/** The phases of the lane's launch when its clock shows `elapsed` nanoseconds. */
export function phases(lane: LaneState, elapsed: number, active: boolean): PhaseView[] {
  const over = lane.trial?.phases ?? [];
  const views: PhaseView[] = over.map((phase) => ({ name: phase.name, state: "over", took: phase.end_ns - phase.start_ns }));
  if (lane.trial && (lane.trial.firstResponse !== null || !active)) return views;
  const ahead = expected(lane).slice(reached(lane, over));
  ahead.forEach((name, at) => {
    if (over.some((phase) => phase.name === name)) return;
    const now = at === 0 && active && lane.trial !== null && lane.trial.outcome === null;
    const begin = over.at(-1)?.end_ns ?? 0;
    views.push({ name, state: now ? "now" : "ahead", took: now ? Math.max(0, elapsed - begin) : null });
  });
  return views;
}

/** How many of the expected phases lie behind. */
function reached(lane: LaneState, over: TrialPhase[]): number {
  const names = expected(lane);
  return over.reduce((most, phase) => Math.max(most, names.indexOf(phase.name) + 1), 0);
}

/** The big number: nanoseconds to the first answer, and under which condition. */
export interface Headline {
  ns: number | null;
  ticking: boolean;
  note: string;
  /** The interval of a median of several. */
  ci95?: [number, number];
}

export function headline(lane: LaneState, run: RunState, elapsed: number): Headline {
  const words = say.lane;
  const how = lane.accelerator === "tcg" ? ` · ${words.emulated}` : lane.accelerator === "kvm" ? ` · ${words.withKvm}` : "";
  const trial = lane.trial;
  if (isActive(run) && trial && trial.outcome === null) {
    const which = trial.warmup ? words.warmup : words.trialOf(lane.over + 1, run.trials);
    if (trial.firstResponse === null) return { ns: elapsed, ticking: true, note: `${which}${how}` };
    return { ns: trial.firstResponse, ticking: false, note: `${words.toFirst} · ${which}${how}` };
  }
  const estimate = lane.estimates[FIRST_RESPONSE];
  if (estimate) {
    const { n, median, ci95 } = estimate;
    if (n < 2) return { ns: median, ticking: false, note: `${words.toFirst}${how}` };
    return { ns: median, ticking: false, note: `${words.toFirst} · ${words.medianOf(n)}${how}`, ci95 };
  }
  if (trial?.firstResponse != null) return { ns: trial.firstResponse, ticking: false, note: `${words.toFirst}${how}` };
  return { ns: null, ticking: false, note: `${words.toFirst}${how}` };
}

/** A lane that was chosen and has not been announced yet. */
export function planned(lanes: readonly string[]): LaneState[] {
  return lanes.map((id) => ({ ...fresh(id), id }));
}

/** A line of a card: a name and a value with its unit. */
export interface Fact {
  name: string;
  value: string;
}

/** What the instance uses, as far as it is known. */
export function facts(lane: LaneState): Fact[] {
  const last = lane.samples.at(-1);
  const size = (metric: string, live?: number) => {
    const amount = live ?? lane.estimates[metric]?.median;
    return amount === undefined ? "–" : text(bytes(amount));
  };
  return [
    { name: say.lane.memory, value: size("memory_host", last?.memory) },
    { name: say.lane.processor, value: last ? text(share(last.cpus)) : "–" },
    { name: say.lane.diskAdded, value: size("instance_bytes") },
    { name: say.lane.imageShared, value: size("image_bytes") },
  ];
}

/** The lines of a chart with the names and colours of their lanes, for crosshair and tooltip. */
export function series(curves: Curve[], run: RunState): Series[] {
  return curves.map(({ lane: id, points }) => {
    const lane = run.lanes.find((one) => one.id === id) ?? fresh(id);
    return { lane: id, name: laneName(lane), tone: tone(lane, run.lanes), points };
  });
}
