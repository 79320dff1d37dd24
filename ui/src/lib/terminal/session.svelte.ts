// A terminal's two streams: output that is taken as fast as it is drawn, and
// keys that arrive in the order in which they were typed.

import type { Failure } from "../bindings/Failure";
import type { TerminalKind } from "../bindings/TerminalKind";
import type { TerminalSize } from "../bindings/TerminalSize";
import { type Host, toFailure } from "../host";

/** Bytes that were drawn and are not told yet are at most this many. */
const TOLD_AT = 32 * 1024;

/** Draws bytes, and calls back when they are drawn. */
export type Draw = (bytes: Uint8Array, drawn: () => void) => void;

export class TerminalSession {
  state: "opening" | "open" | "ended" | "failed" = $state("opening");
  /** The same as a command to type. */
  command: string | null = $state(null);
  /** The shell's exit code. */
  code: number | null = $state(null);
  failure: Failure | null = $state.raw(null);

  #host: Host;
  #id: number | null = null;
  #closed = false;
  #drawing = 0;
  #drawn = 0;
  #typed = "";
  #sending = false;
  #size: TerminalSize = { columns: 80, rows: 24 };

  constructor(host: Host) {
    this.#host = host;
  }

  /** Opens it, and resolves at its end. */
  async run(instance: string, kind: TerminalKind, size: TerminalSize, draw: Draw): Promise<void> {
    this.#size = size;
    try {
      const { id, command } = await this.#host.openTerminal(instance, kind, size);
      this.#id = id;
      if (this.#closed) return void (await this.#host.closeTerminal(id));
      this.command = command;
      this.state = "open";
      // The pane may have changed while the shell was looked for.
      if (this.#size !== size) this.resize(this.#size);
      void this.#send();
      const end = await this.#host.followTerminal(id, (bytes) => this.#take(bytes, draw));
      this.code = end.code;
      this.state = "ended";
    } catch (thrown) {
      this.failure = toFailure(thrown);
      this.state = "failed";
    }
  }

  type(text: string): void {
    if (this.#closed || this.state === "ended") return;
    this.#typed += text;
    void this.#send();
  }

  resize(size: TerminalSize): void {
    this.#size = size;
    if (this.#id !== null && this.state === "open") void this.#host.resizeTerminal(this.#id, size).catch(() => {});
  }

  /** Puts away why there is no shell; nothing is tried again by that. */
  dismiss(): void {
    this.failure = null;
  }

  /** Ends the shell. */
  close(): void {
    this.#closed = true;
    if (this.#id !== null && this.state !== "ended") void this.#host.closeTerminal(this.#id).catch(() => {});
  }

  #take(bytes: Uint8Array, draw: Draw): void {
    this.#drawing += bytes.length;
    draw(bytes, () => {
      this.#drawing -= bytes.length;
      this.#drawn += bytes.length;
      if (this.#id === null || (this.#drawing > 0 && this.#drawn < TOLD_AT)) return;
      const drawn = this.#drawn;
      this.#drawn = 0;
      void this.#host.terminalTaken(this.#id, drawn).catch(() => {});
    });
  }

  /** One message at a time: two that are under way may change places. */
  async #send(): Promise<void> {
    if (this.#sending || this.#id === null) return;
    this.#sending = true;
    while (this.#typed && !this.#closed) {
      const text = this.#typed;
      this.#typed = "";
      await this.#host.typeInTerminal(this.#id, text).catch(() => {});
    }
    this.#sending = false;
  }
}
