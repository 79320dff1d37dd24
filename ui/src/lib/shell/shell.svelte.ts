// The frame around the pages: which page is shown, and what this machine is.

import type { Capability } from "../bindings/Capability";
import type { Machine } from "../bindings/Machine";
import { type Host, toFailure } from "../host";
import type { Failure } from "../bindings/Failure";

export type PageId = "lab" | "workbench" | "images" | "experiments" | "lessons" | "results" | "doctor" | "settings";

export interface PageEntry {
  id: PageId;
  title: string;
}

/** The pages, in the order of the side bar and of Ctrl+1, Ctrl+2, … */
export const PAGES: readonly PageEntry[] = [
  { id: "lab", title: "Lab" },
  { id: "workbench", title: "Workbench" },
  { id: "images", title: "Images" },
  { id: "experiments", title: "Experiments" },
  { id: "lessons", title: "Lessons" },
  { id: "results", title: "Results" },
  { id: "doctor", title: "Doctor" },
  { id: "settings", title: "Settings" },
];

/** A line about this machine at the foot of the side bar. */
export interface StateLine {
  mark: "good" | "warn" | "bad" | "none";
  words: string;
}

export class Shell {
  page: PageId = $state("lab");
  /** The palette, which is the help as well, is open. */
  palette = $state(false);
  machine: Machine | null = $state.raw(null);
  capabilities: Capability[] | null = $state.raw(null);
  probing = $state(false);
  failure: Failure | null = $state.raw(null);
  /** What a crash had left and was cleaned when the program opened. */
  reaped: string[] = $state.raw([]);

  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  async open(): Promise<void> {
    try {
      const opening = await this.#host.opening();
      this.machine = opening.machine;
      this.reaped = opening.cleaned;
    } catch (thrown) {
      this.failure = toFailure(thrown);
    }
    await this.probe();
  }

  /** Looks at this machine again. */
  async probe(): Promise<void> {
    if (this.probing) return;
    this.probing = true;
    try {
      this.capabilities = await this.#host.doctor();
      this.failure = null;
    } catch (thrown) {
      this.failure = toFailure(thrown);
    }
    this.probing = false;
  }

  /** Ctrl with a digit shows a page. Returns whether the key was one of ours. */
  key(event: { key: string; ctrlKey: boolean; altKey: boolean; metaKey: boolean }): boolean {
    if (!event.ctrlKey || event.altKey || event.metaKey) return false;
    if (event.key === "k") return (this.palette = true);
    const page = /^[1-9]$/.test(event.key) ? PAGES[Number(event.key) - 1] : undefined;
    if (!page) return false;
    this.page = page.id;
    return true;
  }
}

/** The machine's state in a few words, from what the doctor found. */
export function stateLines(capabilities: Capability[] | null): StateLine[] {
  if (!capabilities) return [{ mark: "none", words: "Looking at this machine…" }];
  const of = (id: string) => capabilities.find((one) => one.id === id)?.status;
  const container = of("container_engine");
  const [qemu, kvm, tcg] = [of("qemu"), of("vm_kvm"), of("vm_tcg")];
  const lines: StateLine[] = [];
  if (container === "missing") lines.push({ mark: "bad", words: "No container engine" });
  else if (container === "limited") lines.push({ mark: "warn", words: "Container engine, limited" });
  else if (container === "ok") lines.push({ mark: "good", words: "Container engine ready" });
  if (qemu === "missing") lines.push({ mark: "bad", words: "No virtual machines" });
  else if (kvm === "ok") lines.push({ mark: "good", words: "VM with KVM" });
  else if (tcg === "ok") lines.push({ mark: "warn", words: "VM emulated, no KVM" });
  return lines;
}

/** Cores and memory, and the system: `2 cores · 24 GiB`, `Debian 12`. */
export function machineWords(machine: Machine): string[] {
  const memory = `${Math.round(machine.memory_bytes / 2 ** 30)} GiB`;
  const system = machine.os.replace(/GNU\/Linux /, "").replace(/ \(.*\)$/, "");
  return [`${machine.cores} ${machine.cores === 1 ? "core" : "cores"} · ${memory}`, system];
}
