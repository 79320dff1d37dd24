// The teacher's view: a class's results over its machines. The files stay
// where they are; nothing of them becomes a result of this home.

import type { ClassFormat } from "../bindings/ClassFormat";
import type { ClassText } from "../bindings/ClassText";
import type { ClassView } from "../bindings/ClassView";
import type { ClassWish } from "../bindings/ClassWish";
import type { Failure } from "../bindings/Failure";
import { pictureWidth } from "../chart/picture-width";
import { command } from "../command";
import { failureOf, type Host, toFailure } from "../host";
import { say } from "../messages";

/** As what a class's results are written, and how such a file ends, which is the format's name on the command line. */
export const CLASS_FORMATS: readonly { id: ClassFormat; ending: string }[] = [
  { id: "html", ending: "html" },
  { id: "markdown", ending: "md" },
  { id: "csv", ending: "csv" },
];

export class Classroom {
  /** Files and folders, as typed, a line each. */
  paths = $state("");
  /** Files that were chosen in the window. */
  texts: ClassText[] = $state.raw([]);
  join = $state(false);
  group = $state(0);
  view: ClassView | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);
  reading = $state(false);
  format: ClassFormat = $state("html");
  /** Where an export goes, as typed. */
  file = $state("");
  /** The file is being written. */
  writing = $state(false);
  note: string | null = $state(null);

  /** Each look at the files has its own number. */
  #look = 0;

  #host: Host;
  #isDark: () => boolean;

  constructor(host: Host, isDark: () => boolean) {
    this.#host = host;
    this.#isDark = isDark;
  }

  get typed(): string[] {
    return this.paths
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
  }

  get command(): string {
    const chosen = [...this.typed, ...this.texts.map((one) => one.file)];
    const [from, file] = [chosen.length > 0 ? chosen : ["FOLDER"], this.file.trim()];
    return command("result", "class", ...(this.join ? ["--join"] : []), ...(this.view && file ? ["--format", this.ending, "-o", file] : []), ...from);
  }

  /** How a file of the chosen format ends. */
  get ending(): string {
    return CLASS_FORMATS.find((one) => one.id === this.format)?.ending ?? "html";
  }

  get ready(): boolean {
    return this.typed.length > 0 || this.texts.length > 0;
  }

  /** Takes files that were chosen or dropped, and shows them. */
  async take(files: Iterable<File>): Promise<void> {
    const read = [...files].map(async (file) => ({ file: file.name, text: await file.text() }));
    try {
      this.texts = [...this.texts, ...(await Promise.all(read))];
    } catch (thrown) {
      this.failure = toFailure(thrown);
      return;
    }
    await this.look();
  }

  /** Looks at the files anew, with a metric drawn. */
  async look(metric: string | null = null): Promise<void> {
    if (!this.ready) return;
    const look = ++this.#look;
    [this.failure, this.reading] = [null, true];
    try {
      const view = await this.#host.viewClass(this.#wish(metric), pictureWidth(), this.#isDark() ? "dark" : "light");
      // Something else may be asked for by now, or nothing.
      if (look === this.#look) [this.view, this.group] = [view, view.group];
    } catch (thrown) {
      if (look === this.#look) this.failure = toFailure(thrown);
    }
    if (look === this.#look) this.reading = false;
  }

  /** Writes what is shown, of every experiment, to a new file. */
  async save(): Promise<void> {
    const file = this.file.trim();
    if (!file || !this.view || this.writing) return;
    [this.failure, this.note, this.writing] = [null, null, true];
    const failure = await failureOf(() => this.#host.exportClass(this.#wish(null), this.format, file));
    [this.failure, this.writing] = [failure, false];
    if (failure) return;
    this.note = say.common.writtenTo(file);
    if (this.file.trim() === file) this.file = "";
  }

  #wish(metric: string | null): ClassWish {
    return { paths: this.typed, texts: this.texts, join: this.join, group: this.group, metric };
  }

  forget(): void {
    this.#look += 1;
    [this.view, this.texts, this.paths, this.group, this.failure, this.note, this.reading] = [null, [], "", 0, null, null, false];
  }
}
