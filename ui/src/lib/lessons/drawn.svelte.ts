// The results that stand in a lesson, as pictures.

import type { ResultView } from "../bindings/ResultView";
import type { Host } from "../host";

/** How wide they are drawn: as wide as a step's text may be. */
const WIDTH = 820;

/** A result that is drawn; one that came with the program was not measured here. */
export type DrawnResult = ResultView & { recorded: boolean };

export class Drawn {
  /** The latest results by experiment, those of this home first; null when there is none. */
  all: Record<string, DrawnResult | null> = $state.raw({});
  /** Each time that they are forgotten, those on their way are too. */
  #round = 0;

  #host: Host;
  #isDark: () => boolean;

  constructor(host: Host, isDark: () => boolean) {
    this.#host = host;
    this.#isDark = isDark;
  }

  forget(): void {
    this.all = {};
    this.#round += 1;
  }

  /** Draws the latest result of an experiment, unless it is drawn. */
  async draw(experiment: string): Promise<void> {
    if (experiment in this.all) return;
    const round = this.#round;
    const rows = await this.#host.results();
    const latest = rows
      .filter((row) => row.experiment === experiment && row.finished_at !== null && row.stopped === null)
      .sort((a, b) => Number(b.origin === null) - Number(a.origin === null) || b.started_at.localeCompare(a.started_at))[0];
    const view = latest ? await this.#host.viewResult(latest.id, WIDTH, this.#isDark() ? "dark" : "light") : null;
    if (round !== this.#round) return;
    this.all = { ...this.all, [experiment]: view && { ...view, recorded: latest?.origin === "recorded" } };
  }
}
