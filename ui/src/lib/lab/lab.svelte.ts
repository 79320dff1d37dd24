// The Lab page's controller: what was chosen, what runs, what came of it.

import type { Charts } from "../bindings/Charts";
import type { ChartView } from "../bindings/ChartView";
import type { ExperimentRequest } from "../bindings/ExperimentRequest";
import type { Failure } from "../bindings/Failure";
import type { Frame } from "../bindings/Frame";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { SubjectInfo } from "../bindings/SubjectInfo";
import { command, compareCommand } from "../command";
import { type Host, failureOf } from "../host";
import { say } from "../messages";
import { isCount, MOST_TRIALS, MOST_WARMUPS } from "./options";
import { apply, begun, idle, isActive, type LaneState, type RunState } from "./run";

/** The first subject a person sees. */
const FIRST_SUBJECT = "hello-flask";

export class Lab {
  run: RunState = $state(idle());
  charts: Charts | null = $state.raw(null);
  subjects: SubjectInfo[] = $state.raw([]);
  request: ExperimentRequest | null = $state(null);
  /** The request before anything was changed. */
  usual: ExperimentRequest | null = $state.raw(null);
  /** The chosen subject is typed, not picked. */
  typed = $state(false);
  /** Something other than the run went wrong. */
  failure: Failure | null = $state(null);
  /** A cancel was asked for and not answered yet. */
  cancelling = $state(false);
  /** Lanes whose instance is being stopped. */
  stopping: string[] = $state([]);

  /** What was asked of an instance last, as a command, while `set` is what is set. */
  #said: { command: string; set: string } | null = $state.raw(null);

  #host: Host;
  #view: ChartView | null = null;

  constructor(host: Host) {
    this.#host = host;
  }

  /** What was asked last, or the comparison that is set, as a command to type. */
  get command(): string {
    const set = this.#set;
    return this.#said?.set === set ? this.#said.command : set;
  }

  get #set(): string {
    return this.request && this.usual ? compareCommand(this.request, this.usual) : "";
  }

  /** Tells what was asked of an instance. */
  say(asked: string): void {
    this.#said = { command: asked, set: this.#set };
  }

  get active(): boolean {
    return isActive(this.run);
  }

  /** Whether what is set can be launched. */
  get ready(): boolean {
    return this.request !== null && !this.active && this.why === null;
  }

  /** What is missing before it can be launched. */
  get why(): string | null {
    const request = this.request;
    if (!request) return null;
    if (request.subject.trim() === "") return say.lab.noSubject;
    if (request.lanes.length === 0) return say.lab.noLane;
    if (!isCount(request.trials, 1, MOST_TRIALS)) return say.lab.noCount(say.lab.trialsInLane, 1, MOST_TRIALS);
    return isCount(request.warmup, 0, MOST_WARMUPS) ? null : say.lab.noCount(say.lab.warmups, 0, MOST_WARMUPS);
  }

  /** The error to show, from the run or from around it. */
  get error(): Failure | null {
    return this.failure ?? (this.run.stage === "failed" ? this.run.error : null);
  }

  /** Loads what there is to choose, and follows a run that is already going on. */
  async open(): Promise<void> {
    const beginning = this.#host.beginning();
    if (beginning) {
      this.usual = structuredClone(beginning.request);
      [this.request, this.subjects] = [beginning.request, beginning.subjects];
    }
    await this.#try(async () => {
      // Whoever opens the window waits for all of them: at once, then.
      const [followed, usual, subjects] = await Promise.all([
        this.#host.watch((frame) => this.take(frame)),
        beginning ? null : this.#host.defaults(FIRST_SUBJECT),
        this.#host.subjects(),
      ]);
      if (usual) this.usual = structuredClone(usual);
      // What was chosen meanwhile stays.
      const request = followed ?? usual;
      if (request) this.request = request;
      this.subjects = subjects;
      this.typed = !this.subjects.some((subject) => subject.name === this.request?.subject);
    });
  }

  /** Takes what the program sent. */
  take(frame: Frame): void {
    const received = performance.now();
    if (frame.first) {
      this.run = begun(received - frame.now_ms);
      this.charts = null;
      this.cancelling = false;
    }
    for (const { at_ms, event } of frame.events) apply(this.run, event, received - (frame.now_ms - at_ms));
    if (frame.charts) this.charts = frame.charts;
    if (!this.active) this.cancelling = false;
  }

  /** Builds and launches what is chosen. */
  async launch(): Promise<void> {
    const request = this.request;
    if (!request || !this.ready) return;
    [this.failure, this.#said] = [null, null];
    const before = { run: this.run, charts: this.charts };
    this.run = begun(performance.now());
    this.charts = null;
    const started = await this.#try(() => this.#host.launch($state.snapshot(request), this.#view ?? FALLBACK_VIEW));
    // What was measured before is there still.
    if (!started) [this.run, this.charts] = [before.run, before.charts];
  }

  async cancel(): Promise<void> {
    if (!this.active) return;
    this.cancelling = true;
    if (!(await this.#try(() => this.#host.cancel()))) this.cancelling = false;
  }

  /** Opens the app of a lane in the browser. */
  async openApp(lane: LaneState): Promise<void> {
    const kept = lane.kept;
    if (kept) await this.#try(() => this.#host.open(kept.name));
  }

  /** Stops a lane's instance and removes it. */
  async stop(lane: LaneState): Promise<void> {
    const kept = lane.kept;
    if (!kept || this.stopping.includes(lane.id)) return;
    this.stopping.push(lane.id);
    this.say(command("rm", "-f", kept.name));
    if (await this.#try(() => this.#host.discard(kept.name))) lane.kept = null;
    this.stopping = this.stopping.filter((id) => id !== lane.id);
  }

  /** Says how large and in which theme charts are wanted. */
  async show(view: ChartView): Promise<void> {
    if (JSON.stringify(view) === JSON.stringify(this.#view)) return;
    this.#view = view;
    const charts = await this.#host.draw(view).catch(() => null);
    if (charts && this.#view === view) this.charts = charts;
  }

  dismiss(): void {
    this.failure = null;
    if (!this.active && this.run.stage === "failed") this.run.error = null;
  }

  /** Notices what was done elsewhere to the instances that were left running. */
  notice(rows: readonly InstanceRow[]): void {
    for (const lane of this.run.lanes) {
      const row = rows.find((one) => one.id === lane.kept?.instance);
      if (!lane.kept) continue;
      if (row) Object.assign(lane.kept, { name: row.name, url: row.url ?? lane.kept.url, up: row.state === "running" });
      else lane.kept = null;
    }
  }

  async #try(work: () => Promise<void>): Promise<boolean> {
    const failure = await failureOf(work);
    if (failure) this.failure = failure;
    return !failure;
  }
}

const FALLBACK_VIEW: ChartView = {
  theme: "light",
  race: { width: 960, height: 0 },
  cpu: { width: 480, height: 200 },
  memory: { width: 480, height: 200 },
};
