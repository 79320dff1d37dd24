// What can be set for a comparison. Pure.

import type { ExperimentRequest } from "../bindings/ExperimentRequest";
import type { Resources } from "../bindings/Resources";

/** The lanes there are, in the order in which they are shown. */
export const LANES = [
  { id: "container", key: "container" },
  { id: "vm/micro", key: "vm" },
  { id: "vm/full", key: "vm-full" },
  { id: "process", key: "process" },
] as const;

/** The most trials and warm-ups that are offered. */
export const MOST_TRIALS = 100;
export const MOST_WARMUPS = 20;

/** Whether a number field holds a whole number in these bounds; an empty one holds none. */
export function isCount(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
}

/** `lanes` with or without one, in the order of `LANES`; lanes of other kinds stay. */
export function setLane(lanes: readonly string[], id: string, wanted: boolean): string[] {
  const chosen = new Set(lanes);
  if (wanted) chosen.add(id);
  else chosen.delete(id);
  const known = LANES.map((lane) => lane.id as string).filter((lane) => chosen.delete(lane));
  return [...known, ...chosen];
}

/** The memory limit in MiB, or empty where there is none. */
export function memoryMiB(request: ExperimentRequest): number | "" {
  const bytes = request.resources.memory_bytes;
  return bytes === null ? "" : Math.round(bytes / 2 ** 20);
}

/** Sets it; what is no limit is the usual one, as on the command line. */
export function setMemory(request: ExperimentRequest, text: string, usual: Resources): void {
  const mib = Number(text);
  request.resources.memory_bytes = text.trim() === "" || !(mib > 0) ? usual.memory_bytes : Math.round(mib) * 2 ** 20;
}

/** The processor limit, or empty where there is none. */
export function processors(request: ExperimentRequest): number | "" {
  const milli = request.resources.milli_cpus;
  return milli === null ? "" : milli / 1000;
}

export function setProcessors(request: ExperimentRequest, text: string, usual: Resources): void {
  const count = Number(text);
  request.resources.milli_cpus = text.trim() === "" || !(count > 0) ? usual.milli_cpus : Math.round(count * 1000);
}
