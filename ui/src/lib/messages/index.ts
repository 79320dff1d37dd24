// Every text that the page itself writes, in the language that is shown.
// English is the type: a language that lacks a message does not compile.

import type { Language } from "../bindings/Language";
import { de } from "./de";
import { en } from "./en";
import { shown } from "./language.svelte";

export type Catalogue = typeof en;

export const CATALOGUES: Record<Language, Catalogue> = { en, de };

/** Parts of the catalogue by page; read where they are shown, never kept. */
export const say = {} as Readonly<Catalogue>;
for (const page of Object.keys(en) as (keyof Catalogue)[]) {
  Object.defineProperty(say, page, { enumerable: true, get: () => CATALOGUES[shown.language][page] });
}

/** A message by a name that only the program knows; null where there is none. */
export function known(messages: Readonly<Record<string, string>>, name: string): string | null {
  return Object.hasOwn(messages, name) ? (messages[name] ?? null) : null;
}
