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

  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Follows the instances as long as the page is there. */
  async open(onRows: (rows: InstanceRow[]) => void): Promise<void> {
    try {
      await this.#host.followInstances((rows) => {
        this.rows = rows;
        onRows(rows);
      });
    } catch (thrown) {
      this.failure = toFailure(thrown);
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
    try {
      await work();
    } catch (thrown) {
      this.failure = toFailure(thrown);
    }
    this.busy = this.busy.filter((other) => other !== name);
  }
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
