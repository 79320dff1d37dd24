// The teacher's view: a class's results over its machines. The files stay
// where they are; nothing of them becomes a result of this home.

import type { ClassText } from "../bindings/ClassText";
import type { ClassView } from "../bindings/ClassView";
import type { Failure } from "../bindings/Failure";
import { command } from "../command";
import { type Host, toFailure } from "../host";

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
    return command("result", "class", ...(this.join ? ["--join"] : []), ...(chosen.length > 0 ? chosen : ["FOLDER"]));
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
    if (!this.ready || this.reading) return;
    [this.failure, this.reading] = [null, true];
    const wish = { paths: this.typed, texts: this.texts, join: this.join, group: this.group, metric };
    try {
      this.view = await this.#host.viewClass(wish, 900, this.#isDark() ? "dark" : "light");
      this.group = this.view.group;
    } catch (thrown) {
      this.failure = toFailure(thrown);
    }
    this.reading = false;
  }

  forget(): void {
    [this.view, this.texts, this.paths, this.group, this.failure] = [null, [], "", 0, null];
  }
}
