// Text from 100 % to 200 %, with Ctrl and +, - or 0, kept for the next time.
// On a very large window all of it is larger, so that the page fills it.

const KEY = "text-size";
const STEPS = [1, 1.1, 1.25, 1.5, 1.75, 2];

/** How much larger all is on a window of at least so many CSS pixels. */
const ROOM = [
  { width: 3200, factor: 1.5 },
  { width: 2400, factor: 1.2 },
];

export class TextSize {
  /** As it was chosen. */
  scale = $state(1);
  #room = $state(1);

  #storage: Pick<Storage, "getItem" | "setItem">;

  constructor(storage: Pick<Storage, "getItem" | "setItem">) {
    this.#storage = storage;
    const kept = Number(storage.getItem(KEY));
    if (STEPS.includes(kept)) this.scale = kept;
    this.fit(window.innerWidth);
    window.addEventListener("resize", () => this.fit(window.innerWidth));
  }

  /** How large it is drawn. */
  get drawn(): number {
    return this.scale * this.#room;
  }

  /** For a window of this width. */
  fit(width: number): void {
    this.#room = ROOM.find((room) => width >= room.width)?.factor ?? 1;
    document.documentElement.style.fontSize = `${Math.round(this.drawn * 100)}%`;
  }

  set(scale: number): void {
    this.scale = scale;
    this.fit(window.innerWidth);
    this.#storage.setItem(KEY, String(scale));
  }

  /** Returns whether the key was one of ours. */
  key(event: { key: string; ctrlKey: boolean; altKey: boolean; metaKey: boolean }): boolean {
    if (!event.ctrlKey || event.altKey || event.metaKey) return false;
    const at = STEPS.indexOf(this.scale);
    if (event.key === "+" || event.key === "=") this.set(STEPS[Math.min(at + 1, STEPS.length - 1)] ?? 1);
    else if (event.key === "-") this.set(STEPS[Math.max(at - 1, 0)] ?? 1);
    else if (event.key === "0") this.set(1);
    else return false;
    return true;
  }
}
