// What a step of the preparation is called, and how far it is. Pure.

import { known, say } from "../messages";
import type { Step } from "./run";

export function stepTitle(step: Step): string {
  return known(say.lab.steps, step.name) ?? step.name.charAt(0).toUpperCase() + step.name.slice(1);
}

/** How far a step that counts is, from 0 to 1; null when it does not count. */
export function buildProgress(step: Step | undefined): number | null {
  const found = /^step (\d+) of (\d+)/.exec(step?.message ?? "");
  if (!found) return null;
  const [at, all] = [Number(found[1]), Number(found[2])];
  return all > 0 ? Math.min(1, Math.max(0, (at - 1) / all)) : null;
}
