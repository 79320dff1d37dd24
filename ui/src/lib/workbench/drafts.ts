// What a person has open and has typed and not saved, kept so that neither a
// page that is loaded again nor the end of the program loses it.

export type Kept = Pick<Storage, "getItem" | "setItem">;

/** Texts by file name, of one folder. */
export type Texts = Record<string, string>;

const OPEN = "open-project";
const TYPED = "typed-texts";
/** So long after a key all that was typed is written down. */
const REST_MS = 300;

export class Drafts {
  readonly #storage: Kept;
  readonly #all: Record<string, Texts>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(storage: Kept) {
    this.#storage = storage;
    this.#all = read(storage);
    globalThis.addEventListener?.("pagehide", () => this.flush());
  }

  /** The folder that was open. */
  get open(): string | null {
    return this.#storage.getItem(OPEN) || null;
  }

  set open(folder: string | null) {
    this.#write(OPEN, folder ?? "");
  }

  /** What was typed in a folder and not saved. */
  of(folder: string): Texts {
    return this.#all[folder] ?? {};
  }

  /** Takes the place of what was kept of this folder. */
  keep(folder: string, texts: Texts): void {
    if (Object.keys(texts).length > 0) this.#all[folder] = texts;
    else delete this.#all[folder];
    this.#timer ??= setTimeout(() => this.flush(), REST_MS);
  }

  /** Writes it down now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#write(TYPED, JSON.stringify(this.#all));
  }

  #write(key: string, value: string): void {
    try {
      this.#storage.setItem(key, value);
    } catch {
      // Storage that is full keeps what it had; the page has the rest.
    }
  }
}

function read(storage: Kept): Record<string, Texts> {
  try {
    const kept: unknown = JSON.parse(storage.getItem(TYPED) ?? "{}");
    if (typeof kept !== "object" || kept === null) return {};
    const all = Object.entries(kept).filter(([, texts]) => typeof texts === "object" && texts !== null);
    return Object.fromEntries(all.map(([folder, texts]) => [folder, Object.fromEntries(Object.entries(texts as object).filter(([, text]) => typeof text === "string"))]));
  } catch {
    return {};
  }
}
