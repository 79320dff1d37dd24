// The Workbench's controller: a project that is edited and built, and the
// instance that is looked at.

import type { Building } from "../bindings/Building";
import type { Failure } from "../bindings/Failure";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Project } from "../bindings/Project";
import type { SnapshotRow } from "../bindings/SnapshotRow";
import type { UpdateReport } from "../bindings/UpdateReport";
import { command } from "../command";
import { type Host, toFailure } from "../host";
import { parts } from "./log-window";

const RECENT = "recent-projects";
/** Lines of a log that are kept. */
const LOG_LINES = 120_000;

/** An instruction of a build as it goes. */
export interface BuildStep {
  index: number;
  total: number;
  instruction: string;
  line: number;
  state: "running" | "cached" | "done";
  elapsedNs: number | null;
  bytes: number;
  output: string[];
}

export interface Build {
  steps: BuildStep[];
  notices: string[];
  state: "running" | "done" | "failed" | "cancelled";
  digest: string | null;
}

/** What is shown of an instance. */
export type InstanceTab = "log" | "shell" | "console";

export class Workbench {
  project: Project | null = $state.raw(null);
  recent: string[] = $state([]);
  /** The folder to open or make, as typed. */
  folder = $state("~/tandem-projects/hello-flask");
  /** What stands in the editor, by file name. */
  texts: Record<string, string> = $state({});
  file = $state("");
  build: Build | null = $state(null);
  chosen: string | null = $state(null);
  /** The log of the chosen one, its latest lines. */
  log: string[] = $state.raw([]);
  search = $state("");
  tab: InstanceTab = $state("log");
  snapshots: SnapshotRow[] = $state.raw([]);
  report: UpdateReport | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);
  note: string | null = $state(null);
  busy = $state(false);
  #said: string | null = $state(null);
  /** Texts by file of projects that were left, by folder. */
  readonly #unsaved = new Map<string, Record<string, string>>();
  /** Lines that came since the last frame. */
  #came: string[] = [];

  /** The way to the program, for parts that talk to it on their own. */
  readonly host: Host;
  #host: Host;
  #storage: Pick<Storage, "getItem" | "setItem">;

  constructor(host: Host, storage: Pick<Storage, "getItem" | "setItem">) {
    this.host = this.#host = host;
    this.#storage = storage;
    try {
      const kept: unknown = JSON.parse(storage.getItem(RECENT) ?? "[]");
      if (Array.isArray(kept)) this.recent = kept.filter((one) => typeof one === "string");
    } catch {
      // Notes that cannot be read are no notes.
    }
  }

  get command(): string {
    if (this.#said) return this.#said;
    const project = this.project;
    return project ? command("build", "-t", project.tag, project.folder) : command("sample", "copy", "hello-flask", this.folder);
  }

  /** Names of files that are not saved. */
  get changed(): string[] {
    return (this.project?.files ?? []).filter((file) => this.texts[file.name] !== file.text).map((file) => file.name);
  }

  open(folder: string): Promise<boolean> {
    return this.#work(async () => this.#show(await this.#host.openProject(folder)));
  }

  create(sample: string): Promise<boolean> {
    return this.#work(async () => this.#show(await this.#host.newProject(sample, this.folder)));
  }

  /** What was typed and not saved is there again when the project is. */
  leave(): void {
    const project = this.project;
    if (project) this.#unsaved.set(project.folder, Object.fromEntries(this.changed.map((name) => [name, this.texts[name] ?? ""])));
    this.project = null;
    this.build = null;
  }

  /** Writes what was changed; whether all of it is written. */
  async save(): Promise<boolean> {
    const project = this.project;
    if (!project) return false;
    for (const name of this.changed) {
      const text = this.texts[name] ?? "";
      if (!(await this.#try(() => this.#host.saveProjectFile(project.folder, name, text)))) return false;
      const files = (this.project ?? project).files.map((file) => (file.name === name ? { name, text } : file));
      this.project = { ...project, files };
    }
    return true;
  }

  /** Saves and builds. */
  async startBuild(): Promise<void> {
    if (!this.project || this.build?.state === "running" || !(await this.save())) return;
    const project = this.project;
    this.#said = null;
    this.failure = null;
    this.build = { steps: [], notices: [], state: "running", digest: null };
    try {
      const digest = await this.#host.buildProject(project.folder, (events) => this.take(events));
      if (this.build) Object.assign(this.build, { state: "done", digest });
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (this.build) this.build.state = failure.code === "cancelled" ? "cancelled" : "failed";
      if (failure.code !== "cancelled") this.failure = failure;
    }
  }

  cancelBuild(): Promise<boolean> {
    return this.#try(() => this.#host.cancelWork("build"));
  }

  take(events: Building[]): void {
    const build = this.build;
    if (!build) return;
    for (const event of events) {
      if (event.type === "notice") {
        if (!build.notices.includes(event.text)) build.notices.push(event.text);
        continue;
      }
      if (event.type === "step") {
        // A build begins anew on a base that stands in.
        if (build.steps.some((step) => step.index === event.index)) build.steps = [];
        build.steps.push({ ...event, state: "running", elapsedNs: null, bytes: 0, output: [] });
        continue;
      }
      const step = build.steps.findLast((one) => one.index === event.index);
      if (!step) continue;
      if (event.type === "cached") step.state = "cached";
      else if (event.type === "output") step.output.push(plainText(event.text));
      else Object.assign(step, { state: step.state === "cached" ? "cached" : "done", elapsedNs: event.elapsed_ns, bytes: event.bytes });
    }
  }

  /** Looks at an instance, or at none. */
  async choose(name: string | null): Promise<void> {
    this.chosen = name;
    [this.log, this.#came] = [[], []];
    this.snapshots = [];
    this.report = null;
    this.tab = "log";
    this.#said = name ? command("logs", "-f", name) : null;
    if (!name) return;
    void this.#follow(name);
    await this.listSnapshots();
  }

  /** Shows another side of the instance that is looked at. */
  show(tab: InstanceTab): void {
    this.tab = tab;
    if (tab === "log" && this.chosen) this.#said = command("logs", "-f", this.chosen);
  }

  /** The same as a command, told by a part that acts on its own. */
  say(said: string): void {
    this.#said = said;
  }

  /** Restarts, pauses or goes on with an instance. */
  act(row: InstanceRow, what: "restart" | "pause" | "unpause"): Promise<boolean> {
    this.#said = command(what, row.name);
    return this.#work(() => (what === "restart" ? this.#host.restart(row.name) : this.#host.pause(row.name, what === "pause")));
  }

  /** Gives an instance other limits. */
  update(name: string, memoryBytes: number | null, milliCpus: number | null): Promise<boolean> {
    const words = ["update"];
    if (memoryBytes !== null) words.push("--memory", `${Math.round(memoryBytes / 2 ** 20)}m`);
    if (milliCpus !== null) words.push("--cpus", String(milliCpus / 1000));
    this.#said = command(...words, name);
    return this.#work(async () => {
      this.report = await this.#host.update(name, { memory_bytes: memoryBytes, milli_cpus: milliCpus, pids: null }, "auto");
    });
  }

  async listSnapshots(): Promise<void> {
    const name = this.chosen;
    if (!name) return;
    await this.#try(async () => {
      const rows = await this.#host.snapshots(name);
      if (this.chosen === name) this.snapshots = rows;
    });
  }

  snapshot(snapshot: string, memory: boolean): Promise<boolean> {
    const name = this.chosen ?? "";
    this.#said = command("snapshot", "create", name, snapshot, ...(memory ? ["--memory"] : []));
    return this.#withSnapshots(() => this.#host.takeSnapshot(name, snapshot, memory));
  }

  restore(snapshot: string, into: string | null): Promise<boolean> {
    const name = this.chosen ?? "";
    this.#said = command("snapshot", "restore", name, snapshot, ...(into ? ["--as", into] : []));
    return this.#withSnapshots(() => this.#host.restoreSnapshot(name, snapshot, into));
  }

  removeSnapshot(snapshot: string): Promise<boolean> {
    const name = this.chosen ?? "";
    this.#said = command("snapshot", "rm", name, snapshot);
    return this.#withSnapshots(() => this.#host.removeSnapshot(name, snapshot));
  }

  async #withSnapshots(work: () => Promise<unknown>): Promise<boolean> {
    const done = await this.#work(work);
    if (done) await this.listSnapshots();
    return done;
  }

  async #follow(name: string): Promise<void> {
    try {
      await this.#host.followLog(name, (lines) => {
        if (this.chosen === name) this.#takeLines(lines.flatMap((line) => parts(plainText(line.text))));
      });
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (this.chosen === name && failure.code !== "cancelled") this.failure = failure;
    }
  }

  /** However many messages come between two frames, the log is drawn once. */
  #takeLines(lines: string[]): void {
    if (this.#came.length === 0) {
      requestAnimationFrame(() => {
        this.log = this.log.concat(this.#came).slice(-LOG_LINES);
        this.#came = [];
      });
    }
    // A window that nobody sees has no frames.
    const all = this.#came.concat(lines);
    this.#came = all.length > LOG_LINES ? all.slice(-LOG_LINES) : all;
  }

  #show(project: Project): void {
    this.project = project;
    this.texts = { ...Object.fromEntries(project.files.map((file) => [file.name, file.text])), ...this.#unsaved.get(project.folder) };
    this.file = project.files[0]?.name ?? "";
    this.build = null;
    this.#said = null;
    this.recent = [project.folder, ...this.recent.filter((one) => one !== project.folder)].slice(0, 6);
    this.#storage.setItem(RECENT, JSON.stringify(this.recent));
  }

  async #work(work: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    const done = await this.#try(work);
    this.busy = false;
    return done;
  }

  async #try(work: () => Promise<unknown>): Promise<boolean> {
    this.failure = null;
    try {
      await work();
      return true;
    } catch (thrown) {
      this.failure = toFailure(thrown);
      return false;
    }
  }
}

/** A line without the codes that colour it in a terminal (ECMA-48, 5.4). */
export function plainText(line: string): string {
  return line.replace(/\u001b\[[0-?]*[ -/]*[@-~]/g, "");
}
