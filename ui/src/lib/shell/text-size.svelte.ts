// Text from 100 % to 200 %, with Ctrl and +, - or 0, kept for the next time.

const KEY = "text-size";
const STEPS = [1, 1.1, 1.25, 1.5, 1.75, 2];

export class TextSize {
  scale = $state(1);

  #storage: Pick<Storage, "getItem" | "setItem">;

  constructor(storage: Pick<Storage, "getItem" | "setItem">) {
    this.#storage = storage;
    const kept = Number(storage.getItem(KEY));
    if (STEPS.includes(kept)) this.set(kept);
  }

  set(scale: number): void {
    this.scale = scale;
    document.documentElement.style.fontSize = `${scale * 100}%`;
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
