// A project that is edited and built.

import type { Building } from "../bindings/Building";
import type { Failure } from "../bindings/Failure";
import type { Project } from "../bindings/Project";
import { buildCommand, command } from "../command";
import { type Host, failureOf, toFailure } from "../host";
import { say } from "../messages";
import { begun, type Build, take } from "./build";
import { Drafts, type Kept } from "./drafts";
import { type Fault, faultOfBuild, faultOfPython } from "./faults";

const RECENT = "recent-projects";
/** So long after a key a file is looked at for mistakes. */
const LOOK_MS = 500;

export class ProjectDesk {
  project: Project | null = $state.raw(null);
  recent: string[] = $state([]);
  /** The folder to open or make, as typed. */
  folder = $state("~/tandem-projects/hello-flask");
  /** What stands in the editor, by file name. */
  texts: Record<string, string> = $state({});
  file = $state("");
  build: Build | null = $state(null);
  /** What is wrong in the files as they stand in the editor. */
  wrong: Fault[] = $state.raw([]);
  /** Where the last build or run failed, until that file is changed. */
  failed: Fault[] = $state.raw([]);
  failure: Failure | null = $state.raw(null);
  busy = $state(false);
  /** What was done last, as a command. */
  protected said: string | null = $state(null);
  readonly #drafts: Drafts;
  readonly #checks = new Map<string, ReturnType<typeof setTimeout>>();

  /** The way to the program, for parts that talk to it on their own. */
  readonly host: Host;
  #host: Host;
  #storage: Kept;

  constructor(host: Host, storage: Kept) {
    this.host = this.#host = host;
    this.#storage = storage;
    this.#drafts = new Drafts(storage);
    try {
      const kept: unknown = JSON.parse(storage.getItem(RECENT) ?? "[]");
      if (Array.isArray(kept)) this.recent = kept.filter((one) => typeof one === "string");
    } catch {
      // Notes that cannot be read are no notes.
    }
  }

  get command(): string {
    if (this.said) return this.said;
    const project = this.project;
    return project ? buildCommand(project.tag, project.folder, this.build?.notices) : command("sample", "copy", "hello-flask", this.folder);
  }

  /** Names of files that are not saved. */
  get changed(): string[] {
    return (this.project?.files ?? []).filter((file) => this.texts[file.name] !== file.text).map((file) => file.name);
  }

  open(folder: string): Promise<boolean> {
    return this.work(async () => this.#show(await this.#host.openProject(folder)));
  }

  create(sample: string): Promise<boolean> {
    return this.work(async () => this.#show(await this.#host.newProject(sample, this.folder)));
  }

  /** Opens the project that was open when the page went, if it is there still. */
  async resume(): Promise<void> {
    const folder = this.#drafts.open;
    if (!folder || this.project) return;
    const project = await this.#host.openProject(folder).catch(() => null);
    if (project && !this.project) this.#show(project);
  }

  /** Takes what other programs wrote into files that were not changed here. */
  async reread(): Promise<void> {
    const project = this.project;
    const now = project && (await this.#host.openProject(project.folder).catch(() => null));
    if (!now || this.project?.folder !== now.folder) return;
    const typed = Object.fromEntries(this.changed.map((name) => [name, this.texts[name] ?? ""]));
    this.project = now;
    this.texts = { ...textsOf(now), ...typed };
    if (!(this.file in this.texts)) this.file = now.files[0]?.name ?? "";
  }

  /** What was typed and not saved is there again when the project is. */
  leave(): void {
    this.#keep();
    this.#drafts.open = null;
    [this.project, this.build, this.failure] = [null, null, null];
    [this.wrong, this.failed] = [[], []];
  }

  /** Takes what was typed into a file. */
  type(name: string, text: string): void {
    this.texts[name] = text;
    // The editor moves its marks itself while one types.
    if (this.failed.some((fault) => fault.file === name)) this.failed = this.failed.filter((fault) => fault.file !== name);
    this.#keep();
    clearTimeout(this.#checks.get(name));
    this.#checks.set(name, setTimeout(() => void this.check(name), LOOK_MS));
  }

  /** Looks a file over for what its language does not allow. */
  async check(name: string): Promise<void> {
    const text = this.texts[name];
    if (text === undefined) return;
    const fault = await faultIn(this.#host, name, text).catch(() => null);
    if (this.texts[name] !== text) return;
    const others = this.wrong.filter((one) => one.file !== name);
    this.wrong = fault ? [...others, fault] : others;
  }

  /** What is wrong with a file, the first line first. */
  faults(name: string): Fault[] {
    const here = [...this.wrong, ...this.failed].filter((fault) => fault.file === name);
    return here.sort((a, b) => a.line - b.line);
  }

  /** Writes what was changed; whether all of it is written. */
  async save(): Promise<boolean> {
    const project = this.project;
    if (!project) return false;
    for (const name of this.changed) {
      const text = this.texts[name] ?? "";
      const before = this.project?.files.find((file) => file.name === name)?.text ?? "";
      if (!(await this.attempt(() => this.#host.saveProjectFile(project.folder, name, text, before)))) {
        // Who saves again has read that another program's text goes.
        if (this.failure?.code === "conflict") await this.reread();
        return false;
      }
      const files = (this.project ?? project).files.map((file) => (file.name === name ? { name, text } : file));
      this.project = { ...project, files };
    }
    this.#keep();
    return true;
  }

  /** Saves and builds. */
  async startBuild(): Promise<void> {
    const [project, earlier] = [this.project, this.build];
    if (!project || earlier?.state === "running") return;
    // From now on nobody begins another.
    this.build = begun();
    if (!(await this.save())) {
      this.build = earlier;
      return;
    }
    this.said = null;
    await this.#carry((tell) => this.#host.buildProject(project.folder, tell));
  }

  /** Shows a build that a page before this one began. */
  async rejoin(folder: string): Promise<void> {
    if (this.project?.folder !== folder) await this.open(folder);
    if (this.project?.folder !== folder || this.build?.state === "running") return;
    this.build = begun();
    await this.#carry((tell) => this.#host.joinErrand("build", tell));
  }

  async #carry(work: (tell: (events: Building[]) => void) => Promise<string>): Promise<void> {
    [this.failure, this.failed] = [null, []];
    try {
      const digest = await work((events) => this.take(events));
      if (this.build) Object.assign(this.build, { state: "done", digest });
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (this.build) this.build.state = failure.code === "cancelled" ? "cancelled" : "failed";
      if (failure.code === "cancelled") return;
      this.failure = failure;
      const names = this.project?.files.map((file) => file.name) ?? [];
      const faults = [faultOfBuild(failure.message), faultOfPython(failure.message.split("\n"), names)];
      this.failed = faults.filter((one) => one !== null && names.includes(one.file)) as Fault[];
    }
  }

  cancelBuild(): Promise<boolean> {
    return this.attempt(() => this.#host.cancelWork("build"));
  }

  take(events: Building[]): void {
    if (this.build) take(this.build, events);
  }

  /** Where a traceback in these lines of the project's own app points to. */
  protected searched(lines: readonly string[], image: string): void {
    const project = this.project;
    if (!project || image.replace(/:latest$/, "") !== project.tag || this.changed.length > 0) return;
    const fault = faultOfPython(lines, project.files.map((file) => file.name));
    if (fault) this.failed = [...this.failed.filter((one) => one.file !== fault.file), fault];
  }

  #keep(): void {
    const project = this.project;
    if (project) this.#drafts.keep(project.folder, Object.fromEntries(this.changed.map((name) => [name, this.texts[name] ?? ""])));
  }

  #show(project: Project): void {
    this.project = project;
    this.texts = { ...textsOf(project), ...this.#drafts.of(project.folder) };
    this.file = project.files[0]?.name ?? "";
    this.build = null;
    [this.wrong, this.failed] = [[], []];
    this.said = null;
    this.#drafts.open = project.folder;
    this.recent = [project.folder, ...this.recent.filter((one) => one !== project.folder)].slice(0, 6);
    this.#storage.setItem(RECENT, JSON.stringify(this.recent));
    for (const file of project.files) void this.check(file.name);
  }

  protected async work(work: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    const done = await this.attempt(work);
    this.busy = false;
    return done;
  }

  protected async attempt(work: () => Promise<unknown>): Promise<boolean> {
    this.failure = null;
    const failure = await failureOf(work);
    if (failure) this.failure = failure;
    return !failure;
  }
}

function textsOf(project: Project): Record<string, string> {
  return Object.fromEntries(project.files.map((file) => [file.name, file.text]));
}

/** The first mistake in a text, as its language's own reader tells it. */
async function faultIn(host: Host, name: string, text: string): Promise<Fault | null> {
  if (/^(Dockerfile|Containerfile)/.test(name)) return host.checkDockerfile(name, text);
  if (!name.endsWith(".py")) return null;
  const line = (await import("./python")).mistakeIn(text);
  return line === null ? null : { file: name, line, text: say.workbench.pythonMistake };
}
