// Bundles: all that a class needs without internet, as one file.

import type { BundleReport } from "../bindings/BundleReport";
import type { Bundling } from "../bindings/Bundling";
import type { Errand } from "../bindings/Errand";
import type { FoundBundle } from "../bindings/FoundBundle";
import type { Failure } from "../bindings/Failure";
import { command } from "../command";
import { type Host, toFailure } from "../host";

export class Bundles {
  /** Where a new one goes, as typed. */
  file = $state("");
  /** Only these images, as typed; empty for what a class needs. */
  images = $state("");
  results = $state(false);
  /** Take what is here, and build, pull and fetch nothing. */
  here = $state(false);
  /** The one that is to be opened, as typed. */
  from = $state("");
  /** What lies on sticks and among the downloads. */
  found: readonly FoundBundle[] = $state.raw([]);
  working: "create" | "open" | null = $state(null);
  cancelling = $state(false);
  progress: Bundling | null = $state.raw(null);
  /** What was put in or taken out last. */
  report: { done: "create" | "open"; report: BundleReport } | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);

  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  get wanted(): string[] {
    return this.images.split(/[\s,]+/).filter((name) => name !== "");
  }

  get createCommand(): string {
    const words = ["bundle", "create", "-o", this.file.trim() || "FILE"];
    for (const image of this.wanted) words.push("--image", image);
    if (this.wanted.length > 0) words.push("--kernel");
    if (this.results) words.push("--results");
    if (this.here) words.push("--no-build");
    return command(...words);
  }

  get openCommand(): string {
    return command("bundle", "open", this.from.trim() || "FILE");
  }

  async create(): Promise<void> {
    const request = { images: this.wanted, kernel: this.wanted.length > 0, results: this.results, no_build: this.here };
    await this.#work("create", this.file.trim(), (file, tell) => this.#host.createBundle(request, file, tell));
  }

  /** Looks for bundles where they are usually put. Where that fails none is offered. */
  async look(): Promise<void> {
    this.found = await this.#host.foundBundles().catch(() => []);
  }

  async open(file?: string): Promise<void> {
    if (file !== undefined && !this.working) this.from = file;
    await this.#work("open", this.from.trim(), (file, tell) => this.#host.openBundle(file, tell));
  }

  /** Shows the making or opening that a page before this one began. */
  async rejoin(errand: Extract<Errand, { what: "create_bundle" | "open_bundle" }>): Promise<void> {
    if (errand.what === "create_bundle") {
      const { images, results, no_build: here } = errand.request;
      [this.file, this.images, this.results, this.here] = [errand.file, images.join(" "), results, here];
    } else this.from = errand.file;
    await this.#work(errand.what === "create_bundle" ? "create" : "open", errand.file, (_, tell) => this.#host.joinErrand("bundle", tell));
  }

  async cancel(): Promise<void> {
    this.cancelling = true;
    try {
      await this.#host.cancelWork("bundle");
    } catch (thrown) {
      [this.failure, this.cancelling] = [toFailure(thrown), false];
    }
  }

  async #work(what: "create" | "open", file: string, work: (file: string, tell: (progress: Bundling) => void) => Promise<BundleReport>): Promise<void> {
    if (!file || this.working) return;
    [this.working, this.progress, this.report, this.failure, this.cancelling] = [what, null, null, null, false];
    try {
      this.report = { done: what, report: await work(file, (progress) => (this.progress = progress)) };
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (failure.code !== "cancelled") this.failure = failure;
    }
    this.working = null;
  }
}
