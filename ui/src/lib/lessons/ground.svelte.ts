// What this machine is, for the drawings in a lesson.

import type { Host } from "../host";
import { type Ground, SUBJECT } from "./architecture";

/** For how many the guide reckons; a drawing asks for what one takes. */
const CLASS = 1;

export class Grounds {
  now: Ground = $state.raw({ machine: null, capabilities: null, images: null, guide: null });

  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Looks at this machine; what cannot be said is left out of the drawing. */
  async look(): Promise<void> {
    const [opening, capabilities, images, guide] = await Promise.all([
      orNull(() => this.#host.opening()),
      orNull(() => this.#host.doctor()),
      orNull(() => this.#host.images()),
      // Refused where nothing was measured yet.
      orNull(() => this.#host.fitGuide(SUBJECT, CLASS)),
    ]);
    this.now = { machine: opening?.machine ?? null, capabilities, images, guide };
  }
}

async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch {
    return null;
  }
}
