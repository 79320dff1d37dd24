// The instances of this home, whoever made them: this window, another one, or
// a command.

import type { Failure } from "../bindings/Failure";
import type { InstanceRow } from "../bindings/InstanceRow";
import { type Host, toFailure } from "../host";
import { say } from "../messages";

export class Instances {
  rows: InstanceRow[] = $state.raw([]);
  failure: Failure | null = $state.raw(null);
  /** Names of those that something was asked of and not answered yet. */
  busy: string[] = $state([]);
  /** Names of those that this window was asked to remove. */
  readonly removed = new Set<string>();

  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Follows the instances as long as the page is there, and again a while
   * after that broke off: what was in the way may be gone.
   */
  async open(onRows: (rows: InstanceRow[]) => void, rest: () => Promise<void> = later): Promise<void> {
    let broken: Failure | null = null;
    for (;;) {
      try {
        await this.#host.followInstances((rows) => {
          if (broken && this.failure === broken) this.failure = null;
          broken = null;
          this.rows = rows;
          onRows(rows);
        });
        return;
      } catch (thrown) {
        const failure = toFailure(thrown);
        // What was read and put away is not said again.
        if ((broken as Failure | null)?.message !== failure.message) this.failure = broken = failure;
      }
      await rest();
    }
  }

  start(name: string): Promise<void> {
    return this.#ask(name, () => this.#host.start(name));
  }

  stop(name: string): Promise<void> {
    return this.#ask(name, () => this.#host.stop(name));
  }

  /** Stops it, when it runs, and removes it with its files. */
  remove(name: string): Promise<void> {
    this.removed.add(name);
    return this.#ask(name, () => this.#host.discard(name));
  }

  openApp(name: string): Promise<void> {
    return this.#ask(name, () => this.#host.open(name));
  }

  dismiss(): void {
    this.failure = null;
  }

  async #ask(name: string, work: () => Promise<void>): Promise<void> {
    if (this.busy.includes(name)) return;
    this.busy.push(name);
    this.failure = null;
    try {
      await work();
    } catch (thrown) {
      this.failure = toFailure(thrown);
    }
    this.busy = this.busy.filter((other) => other !== name);
  }
}

function later(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3000));
}

/** Whether somebody looks after an instance in this state. */
export function isUp(row: InstanceRow): boolean {
  return ["starting", "running", "paused", "restarting"].includes(row.state);
}

/** The state in words: `running`, `exited (1)`. */
export function stateWords(row: InstanceRow): string {
  return row.state === "exited" && row.exit_code !== null ? say.instances.exited(row.exit_code) : say.instances.states[row.state];
}

/** What runs it, as a lane is written: `vm/micro@tcg`. */
export function laneWords(row: InstanceRow): string {
  const profile = row.profile ? `/${row.profile}` : "";
  const accelerator = row.accelerator ? `@${row.accelerator}` : "";
  return `${row.backend}${profile}${accelerator}`;
}
