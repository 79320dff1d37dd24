// The Results page's controller: the runs that are kept, and the one that is
// looked at.

import type { Failure } from "../bindings/Failure";
import type { ResultFormat } from "../bindings/ResultFormat";
import type { ResultRow } from "../bindings/ResultRow";
import type { ResultView } from "../bindings/ResultView";
import { command } from "../command";
import { type Host, toFailure } from "../host";
import { type ExportFormat, formatOf } from "./formats";

export class Results {
  rows: ResultRow[] | null = $state.raw(null);
  chosen: string | null = $state(null);
  view: ResultView | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);
  note: string | null = $state(null);
  format: ResultFormat = $state("html");
  /** Whether an exported picture is for a dark ground. */
  dark = $state(false);
  /** Where an export goes, as typed. */
  file = $state("");

  #host: Host;
  #isDark: () => boolean;

  constructor(host: Host, isDark: () => boolean) {
    this.#host = host;
    this.#isDark = isDark;
  }

  get kind(): ExportFormat {
    return formatOf(this.format);
  }

  get command(): string {
    if (!this.chosen) return "tandem result ls";
    const { ending, picture } = this.kind;
    if (this.file.trim()) return command("result", "export", this.chosen, "--format", ending, ...(picture && this.dark ? ["--dark"] : []), "-o", this.file.trim());
    return command("result", "show", this.chosen);
  }

  async refresh(): Promise<void> {
    await this.#try(async () => {
      this.rows = await this.#host.results();
    });
  }

  async choose(id: string | null): Promise<void> {
    this.chosen = id;
    this.view = null;
    this.note = null;
    if (!id) return;
    await this.#try(async () => {
      const view = await this.#host.viewResult(id, 900, this.#isDark() ? "dark" : "light");
      if (this.chosen === id) this.view = view;
    });
  }

  async save(): Promise<void> {
    const [id, file] = [this.chosen, this.file.trim()];
    if (!id || !file) return;
    const done = await this.#try(() => this.#host.exportResult(id, this.format, this.dark ? "dark" : "light", file));
    if (done) {
      this.note = `Written to ${file}.`;
      this.file = "";
    }
  }

  async remove(): Promise<void> {
    const id = this.chosen;
    if (!id) return;
    if (await this.#try(() => this.#host.removeResult(id))) await this.choose(null);
    await this.refresh();
  }

  async #try(work: () => Promise<void>): Promise<boolean> {
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
