// The Workbench's controller: a project that is edited and built, and the
// instance that is looked at.

import type { InstanceRow } from "../bindings/InstanceRow";
import type { SnapshotRow } from "../bindings/SnapshotRow";
import type { UpdateReport } from "../bindings/UpdateReport";
import { command } from "../command";
import { type Host, toFailure } from "../host";
import { isUp } from "../instances/instances.svelte";
import { plainText } from "./build";
import type { Kept } from "./drafts";
import { Gift } from "./gift.svelte";
import { parts } from "./log-window";
import { ProjectDesk } from "./project.svelte";

/** Lines of a log that are kept. */
const LOG_LINES = 120_000;
/** The end of a log that is searched for a mistake in the project's files. */
const SEARCHED = 400;

/** What is shown of an instance. */
export type InstanceTab = "log" | "shell" | "console";

export class Workbench extends ProjectDesk {
  /** The name of the instance that is looked at. */
  chosen: string | null = $state(null);
  /** One that was looked at and that somebody else has removed. */
  gone: string | null = $state(null);
  /** The log of the chosen one, its latest lines. */
  log: string[] = $state.raw([]);
  search = $state("");
  tab: InstanceTab = $state("log");
  snapshots: SnapshotRow[] = $state.raw([]);
  report: UpdateReport | null = $state.raw(null);
  /** What is given away, whichever instance is looked at. */
  readonly gift: Gift;
  /** The chosen one's id: names change, and may be given to another. */
  #id: string | null = $state(null);
  #image = "";
  /** Each look at a log has its own number. */
  #look = 0;
  #following = false;
  /** Lines that came since the last frame. */
  #came: string[] = [];

  #host: Host;

  constructor(host: Host, storage: Kept) {
    super(host, storage);
    this.#host = host;
    this.gift = new Gift(host);
  }

  /** Whether this is the instance that is looked at. */
  looksAt(row: Pick<InstanceRow, "id" | "name">): boolean {
    return this.#id === null ? row.name === this.chosen : row.id === this.#id;
  }

  /** Looks at an instance, or at none. */
  async choose(name: string | null, row?: Pick<InstanceRow, "id" | "image">): Promise<void> {
    this.chosen = name;
    [this.#id, this.#image, this.gone] = [row?.id ?? null, row?.image ?? "", null];
    this.snapshots = [];
    this.report = null;
    this.tab = "log";
    this.said = name ? command("logs", "-f", name) : null;
    this.#look += 1;
    [this.log, this.#came] = [[], []];
    if (!name) return;
    void this.#follow(name);
    await this.listSnapshots();
  }

  /**
   * Follows what others do to the instance that is looked at: it keeps being
   * looked at under a new name and through a new start, and another one of the
   * same name is another one.
   */
  notice(rows: readonly InstanceRow[], asked: (name: string) => boolean = () => false): void {
    const [name, id] = [this.chosen, this.#id];
    if (name === null) return;
    const row = rows.find((one) => this.looksAt(one));
    if (!row) {
      if (id === null) return;
      void this.choose(null);
      this.gone = asked(name) ? null : name;
      return;
    }
    [this.#id, this.#image] = [row.id, row.image];
    if (row.name !== name) {
      this.chosen = row.name;
      if (this.said === command("logs", "-f", name)) this.said = command("logs", "-f", row.name);
    }
    if (isUp(row) && !this.#following) void this.#follow(row.name);
  }

  /** Shows another side of the instance that is looked at. */
  show(tab: InstanceTab): void {
    this.tab = tab;
    if (tab === "log" && this.chosen) this.said = command("logs", "-f", this.chosen);
  }

  /** The same as a command, told by a part that acts on its own. */
  say(said: string): void {
    this.said = said;
  }

  /** Restarts, pauses or goes on with an instance. */
  act(row: InstanceRow, what: "restart" | "pause" | "unpause"): Promise<boolean> {
    this.said = command(what, row.name);
    return this.work(() => (what === "restart" ? this.#host.restart(row.name) : this.#host.pause(row.name, what === "pause")));
  }

  /** Gives an instance other limits. */
  update(name: string, memoryBytes: number | null, milliCpus: number | null): Promise<boolean> {
    const words = ["update"];
    if (memoryBytes !== null) words.push("--memory", `${Math.round(memoryBytes / 2 ** 20)}m`);
    if (milliCpus !== null) words.push("--cpus", String(milliCpus / 1000));
    this.said = command(...words, name);
    const id = this.#id;
    return this.work(async () => {
      const report = await this.#host.update(name, { memory_bytes: memoryBytes, milli_cpus: milliCpus, pids: null }, "auto");
      if (this.#id === id) this.report = report;
    });
  }

  async listSnapshots(): Promise<void> {
    const name = this.chosen;
    if (!name) return;
    await this.attempt(async () => {
      const rows = await this.#host.snapshots(name);
      if (this.chosen === name) this.snapshots = rows;
    });
  }

  snapshot(snapshot: string, memory: boolean): Promise<boolean> {
    const name = this.chosen ?? "";
    this.said = command("snapshot", "create", name, snapshot, ...(memory ? ["--memory"] : []));
    return this.#withSnapshots(() => this.#host.takeSnapshot(name, snapshot, memory));
  }

  restore(snapshot: string, into: string | null): Promise<boolean> {
    const name = this.chosen ?? "";
    this.said = command("snapshot", "restore", name, snapshot, ...(into ? ["--as", into] : []));
    return this.#withSnapshots(() => this.#host.restoreSnapshot(name, snapshot, into));
  }

  removeSnapshot(snapshot: string): Promise<boolean> {
    const name = this.chosen ?? "";
    this.said = command("snapshot", "rm", name, snapshot);
    return this.#withSnapshots(() => this.#host.removeSnapshot(name, snapshot));
  }

  async #withSnapshots(work: () => Promise<unknown>): Promise<boolean> {
    const done = await this.work(work);
    if (done) await this.listSnapshots();
    return done;
  }

  /** Follows the log from its beginning, in the place of what was shown of it. */
  async #follow(name: string): Promise<void> {
    this.#look += 1;
    const look = this.#look;
    this.#following = true;
    let fresh = true;
    try {
      await this.#host.followLog(name, (lines) => {
        if (this.#look !== look) return;
        if (fresh) [this.log, this.#came, fresh] = [[], [], false];
        this.#takeLines(lines.flatMap((line) => parts(plainText(line.text))));
      });
      // The next start is followed again.
      if (this.#look === look) this.#following = false;
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (this.#look === look && failure.code !== "cancelled") this.failure = failure;
    }
  }

  /** However many messages come between two frames, the log is drawn once. */
  #takeLines(lines: string[]): void {
    if (this.#came.length === 0) {
      requestAnimationFrame(() => {
        this.log = this.log.concat(this.#came).slice(-LOG_LINES);
        this.#came = [];
        this.searched(this.log.slice(-SEARCHED), this.#image);
      });
    }
    // A window that nobody sees has no frames.
    const all = this.#came.concat(lines);
    this.#came = all.length > LOG_LINES ? all.slice(-LOG_LINES) : all;
  }
}
