// Light, dark and high contrast: as the system says, or as chosen here, kept
// for the next time.

export type ThemeWish = "system" | "light" | "dark" | "contrast-light" | "contrast-dark";

export const THEMES: readonly ThemeWish[] = ["system", "light", "dark", "contrast-light", "contrast-dark"];

const KEY = "theme";

export class Theme {
  wish: ThemeWish = $state("system");
  /** What is shown. */
  dark = $state(false);

  #storage: Pick<Storage, "getItem" | "setItem">;
  #systemDark = matchMedia("(prefers-color-scheme: dark)");
  #systemContrast = matchMedia("(prefers-contrast: more)");

  constructor(storage: Pick<Storage, "getItem" | "setItem">) {
    this.#storage = storage;
    const kept = THEMES.find((one) => one === storage.getItem(KEY));
    if (kept) this.wish = kept;
    this.#systemDark.addEventListener("change", () => this.#show());
    this.#systemContrast.addEventListener("change", () => this.#show());
    this.#show();
  }

  set(wish: ThemeWish): void {
    this.wish = wish;
    this.#storage.setItem(KEY, wish);
    this.#show();
  }

  #show(): void {
    const system = this.wish === "system";
    this.dark = system ? this.#systemDark.matches : this.wish.endsWith("dark");
    const contrast = system ? this.#systemContrast.matches : this.wish.startsWith("contrast");
    document.documentElement.dataset.theme = this.dark ? "dark" : "light";
    document.documentElement.dataset.contrast = contrast ? "more" : "usual";
  }
}
