// The frame around the pages: which page is shown, and what this machine is.

import type { Capability } from "../bindings/Capability";
import type { Machine } from "../bindings/Machine";
import { type Host, toFailure } from "../host";
import type { Failure } from "../bindings/Failure";
import { say } from "../messages";

export type PageId = "lab" | "workbench" | "images" | "experiments" | "lessons" | "results" | "doctor" | "settings";

/** The pages, in the order of the side bar and of Ctrl+1, Ctrl+2, … */
export const PAGES: readonly PageId[] = ["lab", "workbench", "images", "experiments", "lessons", "results", "doctor", "settings"];

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
  /** The process behind the window ended, and another took its place. */
  again = $state(false);

  #host: Host;

  /** Shows the page that was shown before this window's page was loaded again. */
  constructor(host: Host, before: string | null = null) {
    this.#host = host;
    this.page = PAGES.find((page) => page === before) ?? "lab";
  }

  async open(): Promise<void> {
    try {
      const opening = await this.#host.opening();
      this.machine = opening.machine;
      this.reaped = opening.cleaned;
      this.again = opening.again;
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
    this.page = page;
    return true;
  }
}

/** The machine's state in a few words, from what the doctor found. */
export function stateLines(capabilities: Capability[] | null): StateLine[] {
  if (!capabilities) return [{ mark: "none", words: say.shell.looking }];
  const of = (id: string) => capabilities.find((one) => one.id === id)?.status;
  const container = of("container_engine");
  const [qemu, kvm, tcg] = [of("qemu"), of("vm_kvm"), of("vm_tcg")];
  const lines: StateLine[] = [];
  if (container === "missing") lines.push({ mark: "bad", words: say.shell.noContainers });
  else if (container === "limited") lines.push({ mark: "warn", words: say.shell.containersLimited });
  else if (container === "ok") lines.push({ mark: "good", words: say.shell.containersReady });
  if (qemu === "missing") lines.push({ mark: "bad", words: say.shell.noMachines });
  else if (kvm === "ok") lines.push({ mark: "good", words: say.shell.kvm });
  else if (tcg === "ok") lines.push({ mark: "warn", words: say.shell.emulated });
  return lines;
}

/** Cores and memory, and the system: `2 cores · 24 GiB`, `Debian 12`. */
export function machineWords(machine: Machine): string[] {
  const memory = `${Math.round(machine.memory_bytes / 2 ** 30)} GiB`;
  const system = machine.os.replace(/GNU\/Linux /, "").replace(/ \(.*\)$/, "");
  return [`${say.common.cores(machine.cores)} · ${memory}`, system];
}
