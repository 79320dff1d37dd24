// What can be set for a comparison. Pure.

import type { ExperimentRequest } from "../bindings/ExperimentRequest";

/** The lanes there are, in the order in which they are shown. */
export const LANES = [
  { id: "container", key: "container" },
  { id: "vm/micro", key: "vm" },
  { id: "vm/full", key: "vm-full" },
  { id: "process", key: "process" },
] as const;

/** `lanes` with or without one, in the order of `LANES`; lanes of other kinds stay. */
export function setLane(lanes: readonly string[], id: string, wanted: boolean): string[] {
  const chosen = new Set(lanes);
  if (wanted) chosen.add(id);
  else chosen.delete(id);
  const known = LANES.map((lane) => lane.id as string).filter((lane) => chosen.delete(lane));
  return [...known, ...chosen];
}

/** The memory limit in MiB, or empty for none. */
export function memoryMiB(request: ExperimentRequest): number | "" {
  const bytes = request.resources.memory_bytes;
  return bytes === null ? "" : Math.round(bytes / 2 ** 20);
}

export function setMemory(request: ExperimentRequest, text: string): void {
  const mib = Number(text);
  request.resources.memory_bytes = text.trim() === "" || !(mib > 0) ? null : Math.round(mib) * 2 ** 20;
}

/** The processor limit, or empty for none. */
export function processors(request: ExperimentRequest): number | "" {
  const milli = request.resources.milli_cpus;
  return milli === null ? "" : milli / 1000;
}

export function setProcessors(request: ExperimentRequest, text: string): void {
  const count = Number(text);
  request.resources.milli_cpus = text.trim() === "" || !(count > 0) ? null : Math.round(count * 1000);
}
