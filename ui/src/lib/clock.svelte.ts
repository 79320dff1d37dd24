// The page's clock. It ticks with the screen while something runs, four times
// a second for people who want less motion, and not at all otherwise.

export class Clock {
  /** Milliseconds on the page's clock (`performance.now`). */
  now = $state(performance.now());

  #wanted = false;
  #frame = 0;

  /** Ticks while `wanted`. */
  run(wanted: boolean): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (wanted) this.#tick();
    else cancelAnimationFrame(this.#frame);
  }

  #tick = (): void => {
    const now = performance.now();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (now - this.now >= (calm ? 250 : 0)) this.now = now;
    if (this.#wanted) this.#frame = requestAnimationFrame(this.#tick);
  };
}
