// What the doctor's findings are called, and in which order they are read.

import type { Capability } from "../bindings/Capability";

const TITLES: Record<string, string> = {
  container_engine: "Containers",
  overlayfs: "Layered files",
  cgroup: "Limits on memory and processors",
  seccomp: "System call filter",
  network_bridge: "Container network",
  network_nat: "Containers reach other networks",
  container_checkpoint: "Memory of containers in snapshots",
  process_chroot: "Plain processes, the baseline",
  qemu: "QEMU",
  vm_kvm: "Virtual machines with KVM",
  vm_tcg: "Virtual machines by software emulation",
  vm_kernel: "A kernel for virtual machines",
  vm_guest: "The guest's first program",
  mke2fs: "Virtual disks",
  bootstrap: "Base images from Debian packages",
  disk_space: "Room on the disk",
};

/** A capability's name for people. */
export function title(id: string): string {
  const known = TITLES[id];
  if (known) return known;
  const words = id.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What is missing first, then what is limited; otherwise as the program lists them. */
export function inOrder(capabilities: Capability[]): Capability[] {
  const rank = { missing: 0, limited: 1, ok: 2 };
  return capabilities.toSorted((a, b) => rank[a.status] - rank[b.status]);
}

/** The command in a mend that is written as a sentence; the mend itself where it is a command. */
export function commandOf(fix: string): string {
  return /`([^`]+)`/.exec(fix)?.[1] ?? fix;
}
