// The slices of a launch, in order, and what to call them.

import type { BackendKind } from "../bindings/BackendKind";
import { known, say } from "../messages";

/** Phases that a lane is expected to go through, so that the next one can be shown before it ends. */
const EXPECTED: Record<BackendKind, readonly string[]> = {
  process: ["launch", "rootfs", "create", "app"],
  docker: ["launch", "create", "start", "app"],
  podman: ["launch", "create", "start", "app"],
  container: ["launch", "rootfs", "network", "create", "app"],
  vm: ["launch", "disk", "spawn", "firmware", "kernel", "userspace", "app"],
};

/** A machine with an operating system of its own boots in more steps. */
const FULL = ["launch", "disk", "spawn", "firmware", "loader", "kernel", "userspace", "systemd", "app"];

export function isFull(lane: { id: string }): boolean {
  return /^vm\/full\b/.test(lane.id);
}

export function expected(lane: { id: string; backend: BackendKind }): readonly string[] {
  return isFull(lane) ? FULL : EXPECTED[lane.backend];
}

/** What happens in a phase, for a hint. */
export function meaning(phase: string): string {
  return known(say.lane.phases, phase) ?? phase;
}
