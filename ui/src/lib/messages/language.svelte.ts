// The window's language: as the system says, or as chosen in the settings,
// kept for the next time.

import type { Language as LanguageId } from "../bindings/Language";

export type LanguageWish = "system" | LanguageId;

/** The languages there are, each by its own name. */
export const LANGUAGES: readonly { id: LanguageId; name: string }[] = [
  { id: "en", name: "English" },
  { id: "de", name: "Deutsch" },
];

const KEY = "language";

/** What is shown now; whatever reads it is drawn anew when it changes. */
export const shown: { language: LanguageId } = $state({ language: "en" });

export class Language {
  wish: LanguageWish = $state("system");

  #storage: Pick<Storage, "getItem" | "setItem">;

  constructor(storage: Pick<Storage, "getItem" | "setItem">) {
    this.#storage = storage;
    const kept = LANGUAGES.find((one) => one.id === storage.getItem(KEY));
    if (kept) this.wish = kept.id;
    this.#show();
  }

  set(wish: LanguageWish): void {
    this.wish = wish;
    this.#storage.setItem(KEY, wish);
    this.#show();
  }

  #show(): void {
    shown.language = this.wish === "system" ? ofSystem(navigator.languages) : this.wish;
    document.documentElement.lang = shown.language;
  }
}

/** The first of a person's languages that the window has; else English. */
export function ofSystem(wanted: readonly string[]): LanguageId {
  for (const tag of wanted) {
    const found = LANGUAGES.find((one) => one.id === tag.toLowerCase().split(/[-_]/)[0]);
    if (found) return found.id;
  }
  return "en";
}
