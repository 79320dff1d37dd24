// The Results page's controller: the runs that are kept, and the one that is
// looked at.

import type { BesideView } from "../bindings/BesideView";
import type { Failure } from "../bindings/Failure";
import type { ResultFormat } from "../bindings/ResultFormat";
import type { ResultRow } from "../bindings/ResultRow";
import type { ResultView } from "../bindings/ResultView";
import { pictureWidth } from "../chart/picture-width";
import { command } from "../command";
import { type Host, failureOf } from "../host";
import { say } from "../messages";
import { Fit } from "./fit.svelte";
import { type ExportFormat, formatOf } from "./formats";

export class Results {
  rows: ResultRow[] | null = $state.raw(null);
  chosen: string | null = $state(null);
  view: ResultView | null = $state.raw(null);
  /** Results that were ticked, in that order: the first is what others are divided by. */
  picked: string[] = $state([]);
  /** The picked ones side by side, once that was asked for. */
  beside: BesideView | null = $state.raw(null);
  comparing = $state(false);
  /** The one whose removal was asked for once. */
  leaving: string | null = $state(null);
  failure: Failure | null = $state.raw(null);
  note: string | null = $state(null);
  format: ResultFormat = $state("html");
  /** Whether an exported picture is for a dark ground. */
  dark = $state(false);
  /** Where an export goes, as typed. */
  file = $state("");
  /** The file is being written. */
  writing = $state(false);
  /** What fits on this machine, by its results. */
  readonly fit: Fit;

  /** What was done last and shows nothing of its own, as a command. */
  #said: string | null = $state(null);
  /** Each comparison that was asked for has its own number. */
  #compared = 0;

  #host: Host;
  #isDark: () => boolean;

  constructor(host: Host, isDark: () => boolean) {
    this.#host = host;
    this.#isDark = isDark;
    this.fit = new Fit(host);
  }

  get kind(): ExportFormat {
    return formatOf(this.format);
  }

  get command(): string {
    if (this.comparing) return command("result", "compare", ...this.picked);
    if (this.leaving) return command("result", "rm", this.leaving);
    if (!this.chosen) return this.#said ?? (this.fit.guide ? this.fit.command : "tandem result ls");
    const { ending, picture } = this.kind;
    if (this.file.trim()) return command("result", "export", this.chosen, "--format", ending, ...(picture && this.dark ? ["--dark"] : []), "-o", this.file.trim());
    return command("result", "show", this.chosen);
  }

  async refresh(): Promise<void> {
    await this.#try(async () => {
      const before = this.#finished();
      this.rows = await this.#host.results();
      // A run that is looked at may have gone on to its result.
      if (this.chosen && this.view && this.#finished() !== before) await this.#look(this.chosen);
      const there = new Set(this.rows.map((row) => row.id));
      if (this.picked.some((id) => !there.has(id))) this.picked = this.picked.filter((id) => there.has(id));
    });
  }

  /** When the chosen one ended, as far as the list tells. */
  #finished(): string | null | undefined {
    return this.rows?.find((row) => row.id === this.chosen)?.finished_at;
  }

  async #look(id: string): Promise<void> {
    const view = await this.#host.viewResult(id, pictureWidth(), this.#isDark() ? "dark" : "light");
    if (this.chosen === id) this.view = view;
  }

  /** Draws what is shown anew, for another theme. */
  async redraw(): Promise<void> {
    if (this.comparing) await this.compare(this.beside?.metric ?? null);
    else if (this.chosen && this.view) await this.#try(() => this.#look(this.chosen ?? ""));
  }

  async choose(id: string | null): Promise<void> {
    this.back();
    [this.chosen, this.leaving, this.#said] = [id, null, null];
    this.view = null;
    this.note = null;
    if (!id) return;
    await this.#try(() => this.#look(id));
  }

  pick(id: string, on: boolean): void {
    this.picked = on ? [...this.picked.filter((one) => one !== id), id] : this.picked.filter((one) => one !== id);
  }

  /** Shows the picked results side by side, with a metric drawn. */
  async compare(metric: string | null = null): Promise<void> {
    if (this.picked.length < 2) return;
    this.comparing = true;
    const [picked, compared] = [this.picked, ++this.#compared];
    await this.#try(async () => {
      const beside = await this.#host.viewBeside(picked, metric, pictureWidth(), this.#isDark() ? "dark" : "light");
      if (this.comparing && this.#compared === compared) this.beside = beside;
    });
    if (!this.beside && this.#compared === compared) this.comparing = false;
  }

  /** Makes another of the picked results the one that others are divided by. */
  async base(id: string): Promise<void> {
    this.picked = [id, ...this.picked.filter((one) => one !== id)];
    await this.compare(this.beside?.metric ?? null);
  }

  back(): void {
    [this.comparing, this.beside] = [false, null];
  }

  async save(): Promise<void> {
    const [id, file] = [this.chosen, this.file.trim()];
    if (!id || !file || this.writing) return;
    [this.note, this.writing] = [null, true];
    const done = await this.#try(() => this.#host.exportResult(id, this.format, this.dark ? "dark" : "light", file));
    this.writing = false;
    if (done) {
      this.note = say.common.writtenTo(file);
      if (this.file.trim() === file) this.file = "";
    }
  }

  /** Writes down why the chosen result came out as it did. */
  async explain(text: string): Promise<void> {
    const id = this.chosen;
    if (!id || !this.view) return;
    await this.#try(async () => {
      const document = await this.#host.explainResult(id, text);
      // It may be drawn anew by now.
      if (this.chosen === id && this.view) this.view = { ...this.view, document };
    });
  }

  /** Takes in the results that come with the program. */
  async takeRecorded(): Promise<void> {
    await this.#try(async () => {
      await this.#host.importRecorded();
      this.#said = "tandem result import --recorded";
    });
    await this.refresh();
  }

  /** Removes the chosen one once that was asked for twice: nothing brings its trials back. */
  async remove(): Promise<void> {
    const id = this.chosen;
    if (!id) return;
    if (this.leaving !== id) {
      this.leaving = id;
      return;
    }
    this.leaving = null;
    if (await this.#try(() => this.#host.removeResult(id))) {
      await this.choose(null);
      this.#said = command("result", "rm", id);
    }
    await this.refresh();
  }

  async #try(work: () => Promise<void>): Promise<boolean> {
    this.failure = null;
    const failure = await failureOf(work);
    if (failure) this.failure = failure;
    return !failure;
  }
}

/** Whether a run of this home has no end yet, so that it can be gone on with. */
export function isOpen(row: ResultRow): boolean {
  return row.origin === null && (row.finished_at === null || row.stopped !== null);
}
