// The Images page's controller: what is here, what is looked at, what is
// being pulled.

import type { Failure } from "../bindings/Failure";
import type { ImageDetail } from "../bindings/ImageDetail";
import type { ImageRow } from "../bindings/ImageRow";
import type { Pulling } from "../bindings/Pulling";
import type { RunWish } from "../bindings/RunWish";
import { command, runCommand } from "../command";
import { bytes, text } from "../format";
import { type Host, failureOf } from "../host";
import { say } from "../messages";

export class Images {
  rows: ImageRow[] | null = $state.raw(null);
  /** The name of the image that is looked at. */
  chosen: string | null = $state(null);
  detail: ImageDetail | null = $state.raw(null);
  /** The reference to pull, as typed. */
  reference = $state("");
  pulling: Pulling | null = $state.raw(null);
  cancelling = $state(false);
  failure: Failure | null = $state.raw(null);
  /** What was done last, a sentence. */
  note: string | null = $state(null);
  busy = $state(false);
  /** The run dialog, as filled in. */
  wish: RunWish | null = $state(null);
  /** The PostgreSQL try-out was used last: the foot shows its command. */
  tryingOut = $state(false);
  #said = $state("tandem images");

  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /** The last action, or what stands ready, as a command. */
  get command(): string {
    if (this.wish) return runCommand(this.wish);
    if (this.pulling) return command("pull", this.reference.trim());
    return this.#said;
  }

  async refresh(): Promise<void> {
    await this.#try(async () => {
      this.rows = await this.#host.images();
      if (this.chosen && !this.rows.some((row) => nameOf(row) === this.chosen)) this.close();
    });
  }

  async choose(name: string): Promise<void> {
    if (this.chosen === name) return this.close();
    this.chosen = name;
    this.detail = null;
    this.#said = command("image", "tree", name);
    await this.#try(async () => {
      const detail = await this.#host.imageDetail(name);
      if (this.chosen === name) this.detail = detail;
    });
  }

  close(): void {
    this.chosen = null;
    this.detail = null;
    this.#said = "tandem images";
  }

  async pull(): Promise<void> {
    const reference = this.reference.trim();
    if (reference) await this.#fetch(reference, (tell) => this.#host.pull(reference, tell));
  }

  /** Shows a pull that a page before this one began. */
  async rejoin(reference: string): Promise<void> {
    this.reference = reference;
    await this.#fetch(reference, async (tell) => void (await this.#host.joinErrand("pull", tell)));
  }

  async #fetch(reference: string, work: (tell: (progress: Pulling) => void) => Promise<void>): Promise<void> {
    if (this.pulling) return;
    this.pulling = { layers: [], note: null };
    this.note = null;
    const done = await this.#try(() => work((progress) => (this.pulling = progress)));
    this.pulling = null;
    this.cancelling = false;
    this.#said = command("pull", reference);
    if (done) {
      this.note = say.images.isHere(reference);
      this.reference = "";
    }
    await this.refreshQuietly();
  }

  async cancelPull(): Promise<void> {
    this.cancelling = true;
    await this.#try(() => this.#host.cancelWork("pull"));
  }

  /** Gives the chosen image a further name; whether it was taken. */
  async tag(to: string): Promise<boolean> {
    const from = this.chosen;
    if (!from || !to.trim()) return false;
    this.#said = command("image", "tag", from, to.trim());
    const done = await this.#work(() => this.#host.tagImage(from, to.trim()));
    if (done) this.note = say.images.calledToo(from, to.trim());
    return done;
  }

  async remove(name: string): Promise<void> {
    const said = command("image", "rm", name);
    await this.#work(async () => {
      const removed = await this.#host.removeImage(name);
      this.note = say.images.removed(removed.names.join(", "), text(bytes(removed.freed_bytes)));
    });
    this.#said = said;
  }

  async prune(): Promise<void> {
    await this.#work(async () => {
      const removed = await this.#host.pruneImages();
      this.note = say.common.givenBack(text(bytes(removed.freed_bytes)));
    });
    this.#said = "tandem image prune";
  }

  /** Opens the run dialog for an image. */
  prepareRun(name: string): void {
    const port = this.chosen === name ? (this.detail?.ports[0]?.split("/")[0] ?? "8080") : "8080";
    this.failure = null;
    this.wish = { image: name, backend: "container", name: "", ports: [`${port}:${port}`], env: [""], volumes: [""], memory: "", cpus: "" };
  }

  /** Runs what was filled in; what was typed stays when it fails. */
  async run(): Promise<void> {
    const wish = this.wish;
    if (!wish || this.busy) return;
    const said = runCommand(wish);
    await this.#work(async () => {
      const name = await this.#host.runImage($state.snapshot(wish));
      this.note = say.images.runs(name);
      // Another one may be filled in by now.
      if (this.wish === wish) this.wish = null;
    });
    this.#said = said;
  }

  async refreshQuietly(): Promise<void> {
    this.rows = await this.#host.images().catch(() => this.rows);
  }

  async #work(work: () => Promise<void>): Promise<boolean> {
    this.busy = true;
    this.note = null;
    const done = await this.#try(work);
    this.busy = false;
    await this.refreshQuietly();
    if (this.chosen && !this.rows?.some((row) => nameOf(row) === this.chosen)) this.close();
    return done;
  }

  async #try(work: () => Promise<void>): Promise<boolean> {
    this.failure = null;
    const failure = await failureOf(work);
    // A cancel is what was asked for.
    if (failure?.code === "cancelled") this.note = say.images.cancelled;
    else if (failure) this.failure = failure;
    return !failure;
  }
}

/** The name to write for an image: `hello-flask:latest`, or its digest. */
export function nameOf(row: ImageRow): string {
  return row.tag ? `${row.name}:${row.tag}` : row.name === "<none>" ? row.digest : `${row.name}@${row.digest}`;
}
