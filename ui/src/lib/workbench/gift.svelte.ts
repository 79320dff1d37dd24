// An instance, or what belongs to it, as a file for somebody else.

import type { Failure } from "../bindings/Failure";
import type { GiftKind } from "../bindings/GiftKind";
import type { Given } from "../bindings/Given";
import type { InstanceRow } from "../bindings/InstanceRow";
import { command } from "../command";
import { type Host, toFailure } from "../host";

const ENDINGS: Record<GiftKind, string> = { instance: ".tandem-instance", image: ".tar", disk: ".qcow2", bundle: ".tandem" };

export class Gift {
  kind: GiftKind = $state("instance");
  file = $state("");
  busy = $state(false);
  /** The instance that is given, or was last. */
  name: string | null = $state(null);
  note: string | null = $state(null);
  given: Given | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);

  #host: Host;
  #suggested = "";

  constructor(host: Host) {
    this.#host = host;
  }

  /** A name for the file, unless the person wrote one. */
  suggest(row: Pick<InstanceRow, "name">): void {
    if (this.busy || (this.file && this.file !== this.#suggested)) return;
    this.#suggested = `~/${row.name}${ENDINGS[this.kind]}`;
    this.file = this.#suggested;
  }

  async give(name: string): Promise<void> {
    await this.#carry(name, (tell) => this.#host.give(name, this.kind, this.file.trim(), tell));
  }

  /** Shows what a page before this one began to write. */
  async rejoin(name: string, kind: GiftKind, file: string): Promise<void> {
    if (this.busy) return;
    [this.kind, this.file] = [kind, file];
    await this.#carry(name, (tell) => this.#host.joinErrand("gift", tell));
  }

  async #carry(name: string, work: (tell: (notes: string[]) => void) => Promise<Given>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    [this.name, this.note, this.given, this.failure] = [name, null, null, null];
    try {
      this.given = await work((notes) => (this.note = notes.at(-1) ?? this.note));
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (failure.code !== "cancelled") this.failure = failure;
    }
    this.busy = false;
  }

  cancel(): Promise<void> {
    return this.#host.cancelWork("gift").catch(() => {});
  }
}

/** The same as a command to type. */
export function giftCommand(kind: GiftKind, row: Pick<InstanceRow, "name" | "image">, file: string): string {
  const out = file.trim();
  if (kind === "instance") return command("export", "-o", out, row.name);
  if (kind === "disk") return command("export", "--disk", "qcow2", "-o", out, row.name);
  if (kind === "image") return command("save", "--format", "docker-archive", "-o", out, row.image);
  return command("bundle", "create", "-o", out, "--image", row.image);
}
