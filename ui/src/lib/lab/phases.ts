// The slices of a launch, in order, and what to call them.

import type { BackendKind } from "../bindings/BackendKind";

/** Phases that a lane is expected to go through, so that the next one can be shown before it ends. */
export const EXPECTED: Record<BackendKind, readonly string[]> = {
  process: ["launch", "rootfs", "create", "app"],
  docker: ["launch", "create", "start", "app"],
  podman: ["launch", "create", "start", "app"],
  container: ["launch", "rootfs", "network", "create", "app"],
  vm: ["launch", "disk", "spawn", "kernel", "userspace", "app"],
};

const MEANINGS: Record<string, string> = {
  launch: "its supervisor starts",
  rootfs: "the image's files are put together",
  network: "the instance gets its own network",
  create: "namespaces, limits and the process are made",
  disk: "the virtual disk is made",
  spawn: "QEMU starts",
  kernel: "the guest's kernel boots",
  userspace: "the guest's first program starts the app",
  start: "the engine starts the container",
  app: "the app starts and gives its first answer",
};

/** What happens in a phase, for a hint. */
export function meaning(phase: string): string {
  return MEANINGS[phase] ?? phase;
}
