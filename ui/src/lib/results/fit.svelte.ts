// How much fits on this machine, by what was measured on it.

import type { Failure } from "../bindings/Failure";
import type { Guide } from "../bindings/Guide";
import { command } from "../command";
import { type Host, toFailure } from "../host";

export class Fit {
  subject = $state("hello-flask");
  /** Members of the class. */
  classSize = $state(30);
  guide: Guide | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);
  reckoning = $state(false);

  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  get command(): string {
    return command("guide", "--subject", this.subject.trim(), "--class", String(this.classSize));
  }

  get ready(): boolean {
    return this.subject.trim() !== "" && Number.isInteger(this.classSize) && this.classSize >= 1 && !this.reckoning;
  }

  async reckon(): Promise<void> {
    if (!this.ready) return;
    [this.reckoning, this.failure] = [true, null];
    try {
      this.guide = await this.#host.fitGuide(this.subject.trim(), this.classSize);
    } catch (thrown) {
      [this.guide, this.failure] = [null, toFailure(thrown)];
    }
    this.reckoning = false;
  }
}
