// What a step of the preparation is called, and how far it is. Pure.

import type { Step } from "./run";

const TITLES: Record<string, string> = {
  bootstrap: "Base image",
  base: "Base image",
  build: "Build",
  unpack: "Unpack layers",
  disk: "Virtual disk",
  kernel: "Kernel",
  accelerator: "Accelerator",
  parity: "Same in all lanes?",
  prepare: "Get ready",
  clean: "Make room",
};

export function stepTitle(step: Step): string {
  return TITLES[step.name] ?? step.name.charAt(0).toUpperCase() + step.name.slice(1);
}

/** How far a step that counts is, from 0 to 1; null when it does not count. */
export function buildProgress(step: Step | undefined): number | null {
  const found = /^step (\d+) of (\d+)/.exec(step?.message ?? "");
  if (!found) return null;
  const [at, all] = [Number(found[1]), Number(found[2])];
  return all > 0 ? Math.min(1, Math.max(0, (at - 1) / all)) : null;
}
