// The Experiments page's controller: the catalogue, the experiment that is
// open, and the one that runs.

import type { Description } from "../bindings/Description";
import type { Errand } from "../bindings/Errand";
import type { ExperimentRequest } from "../bindings/ExperimentRequest";
import type { Failure } from "../bindings/Failure";
import type { NamedChart } from "../bindings/NamedChart";
import type { ResultDocument } from "../bindings/ResultDocument";
import type { ResultRow } from "../bindings/ResultRow";
import type { ResultView } from "../bindings/ResultView";
import type { RunEvent } from "../bindings/RunEvent";
import { pictureWidth } from "../chart/picture-width";
import { command, experimentCommand } from "../command";
import { type Host, failureOf } from "../host";
import { isCount } from "../lab/options";
import { say } from "../messages";

/** The most trials that are offered. */
export const MOST = 1000;

/** A run as it goes. */
export interface Progress {
  id: string;
  /** What goes on, one line. */
  now: string;
  trials: { name: string; outcome: string }[];
  /** All trials that will be, once known. */
  planned: number | null;
  /** Launches of each lane that come before those that are measured. */
  warmups: number;
  warnings: string[];
}

export class Experiments {
  catalogue: Description[] = $state.raw([]);
  open: Description | null = $state.raw(null);
  /** What was set, kept by experiment. */
  requests: Record<string, ExperimentRequest> = $state({});
  /** What a person expects, kept by experiment. */
  predictions: Record<string, string> = $state({});
  running: Progress | null = $state(null);
  /** Results by experiment. */
  views: Record<string, ResultView> = $state.raw({});
  /** Earlier runs of the experiment that is open, the latest first. */
  history: ResultRow[] = $state.raw([]);
  /** What the one that runs has measured so far, drawn. */
  soFar: NamedChart[] = $state.raw([]);
  failure: Failure | null = $state.raw(null);
  cancelling = $state(false);
  /** The run that is gone on with. */
  #resumed: string | null = $state(null);
  #drawing = false;
  /** Each look at a result of an experiment has its own number. */
  readonly #looks: Record<string, number> = {};

  #host: Host;
  #isDark: () => boolean;

  constructor(host: Host, isDark: () => boolean) {
    this.#host = host;
    this.#isDark = isDark;
  }

  /** What is set for the one that is open. */
  get request(): ExperimentRequest | null {
    return (this.open && this.requests[this.open.id]) ?? null;
  }

  get command(): string {
    if (this.#resumed) return command("experiment", "resume", this.#resumed);
    return this.request ? experimentCommand(this.#asked(this.request)) : "tandem experiment ls";
  }

  /** Whether the one that is open can be run as it is set. */
  get ready(): boolean {
    return this.request !== null && this.running === null && this.why === null;
  }

  /** Why the one that is open cannot be run now. */
  get why(): string | null {
    const [request, running] = [this.request, this.running];
    if (running) return running.id === this.open?.id ? null : say.experiments.otherRuns(running.id);
    if (!request) return null;
    if (request.lanes.length === 0) return say.lab.noLane;
    if (request.subject.trim() === "") return say.lab.noSubject;
    return isCount(request.trials, 1, MOST) ? null : say.lab.noCount(say.experiments.trials, 1, MOST);
  }

  async load(): Promise<void> {
    await this.#try(async () => {
      this.catalogue = await this.#host.experiments();
    });
  }

  async choose(description: Description | null): Promise<void> {
    this.open = description;
    this.failure = null;
    this.history = [];
    if (!description) return;
    const id = description.id;
    await this.#try(async () => {
      if (!this.requests[id]) {
        const request = await this.#host.experimentDefaults(id);
        this.requests[id] ??= request;
      }
      await this.#recall(id);
    });
  }

  /** Shows an earlier run. */
  async look(row: ResultRow): Promise<void> {
    await this.#try(() => this.#view(row.experiment, row.id));
  }

  /** Draws what is shown anew, for another theme. */
  async redraw(): Promise<void> {
    await this.#try(async () => {
      for (const [id, view] of Object.entries(this.views)) if (view.document) await this.#view(id, view.document.id);
    });
  }

  async #recall(id: string): Promise<void> {
    const rows = await this.#host.results();
    if (this.open?.id === id) this.history = rows.filter((row) => row.experiment === id);
  }

  async #view(id: string, result: string): Promise<void> {
    const look = (this.#looks[id] ?? 0) + 1;
    this.#looks[id] = look;
    const view = await this.#host.viewResult(result, pictureWidth(), this.#isDark() ? "dark" : "light");
    // Another one may be looked at by now.
    if (this.#looks[id] === look) this.views = { ...this.views, [id]: view };
  }

  /** Draws what the run has so far; what cannot be drawn now comes with the next trial. */
  async #drawSoFar(): Promise<void> {
    const id = this.running?.id;
    if (id === undefined || this.#drawing) return;
    this.#drawing = true;
    try {
      const row = (await this.#host.results()).find((one) => one.experiment === id && one.finished_at === null && one.stopped === null);
      if (row) {
        const view = await this.#host.viewResult(row.id, pictureWidth(), this.#isDark() ? "dark" : "light");
        if (this.running?.id === id) this.soFar = view.charts;
      }
    } catch {
      // The run goes on, and its result is drawn at its end.
    }
    this.#drawing = false;
  }

  async run(): Promise<void> {
    const request = this.request;
    if (!request || !this.ready) return;
    await this.#measure(request.experiment, () => this.#host.runExperiment(this.#asked(request), (events) => this.take(events)));
  }

  /** What was set, with what the person expects. */
  #asked(request: ExperimentRequest): ExperimentRequest {
    return { ...$state.snapshot(request), prediction: this.predictions[request.experiment]?.trim() || null };
  }

  /** Writes down why the result that is shown came out as it did. */
  async explain(text: string): Promise<void> {
    const id = this.open?.id;
    const view = id === undefined ? undefined : this.views[id];
    if (id === undefined || !view?.document) return;
    const result = view.document.id;
    await this.#try(async () => {
      const document = await this.#host.explainResult(result, text);
      const now = this.views[id];
      if (now?.document?.id === result) this.views = { ...this.views, [id]: { ...now, document } };
    });
  }

  /** Goes on with a run of an experiment that was stopped, and shows it. */
  async resume(run: string, experiment: string): Promise<void> {
    if (this.running) return;
    if (this.catalogue.length === 0) await this.load();
    await this.choose(this.catalogue.find((one) => one.id === experiment) ?? null);
    if (this.failure) return;
    this.#resumed = run;
    await this.#measure(experiment, () => this.#host.resumeExperiment(run, (events) => this.take(events)));
    this.#resumed = null;
  }

  /** Shows what a page before this one began to measure. */
  async rejoin(errand: Extract<Errand, { what: "experiment" | "resume" }>): Promise<void> {
    if (this.running) return;
    let id = errand.what === "experiment" ? errand.request.experiment : null;
    const [all, rows] = await Promise.all([this.#host.experiments(), id === null ? this.#host.results() : []]);
    this.catalogue = all;
    if (errand.what === "resume") id = rows.find((row) => row.id === errand.run)?.experiment ?? null;
    const description = all.find((one) => one.id === id);
    if (!description) return;
    await this.choose(description);
    if (errand.what === "experiment") {
      this.requests[description.id] = errand.request;
      if (errand.request.prediction) this.predictions[description.id] = errand.request.prediction;
    } else this.#resumed = errand.run;
    await this.#measure(description.id, () => this.#host.joinErrand("experiment", (events) => this.take(events)));
    this.#resumed = null;
  }

  async #measure(id: string, work: () => Promise<ResultDocument>): Promise<void> {
    this.running = { id, now: say.experiments.starting, trials: [], planned: null, warmups: 0, warnings: [] };
    this.soFar = [];
    await this.#try(async () => this.#view(id, (await work()).id));
    await this.#recall(id).catch(() => {});
    this.running = null;
    this.soFar = [];
    this.cancelling = false;
  }

  async cancel(): Promise<void> {
    this.cancelling = true;
    await this.#try(() => this.#host.cancelWork("experiment"));
  }

  take(events: RunEvent[]): void {
    const run = this.running;
    if (!run) return;
    for (const event of events) {
      if (event.type === "preparing") run.now = event.message;
      else if (event.type === "planned") {
        run.planned = event.lanes.filter((lane) => lane.unavailable === null).length * (event.trials + event.warmup);
        run.warmups = event.warmup;
      } else if (event.type === "trial_started") run.now = nameOf(event, run.warmups);
      else if (event.type === "trial_finished") run.trials.push({ name: nameOf(event, run.warmups), outcome: event.reason ?? say.experiments.outcomes[event.outcome] });
      else if (event.type === "warning" && !run.warnings.includes(event.message)) run.warnings.push(event.message);
    }
    if (events.some((event) => event.type === "trial_finished")) void this.#drawSoFar();
  }

  async #try(work: () => Promise<void>): Promise<void> {
    this.failure = null;
    const failure = await failureOf(work);
    if (failure && failure.code !== "cancelled") this.failure = failure;
  }
}

/** What a trial is called: those that are measured are counted from one. */
function nameOf({ lane, index }: { lane: string; index: number }, warmups: number): string {
  return index < warmups ? say.experiments.warmupNow(lane) : say.experiments.trialNow(lane, index - warmups + 1);
}
