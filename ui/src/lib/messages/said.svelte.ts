// What the program said, in the language that is shown. Words that are not
// here yet, or that no phrase fits, stand as the program said them.

import { shown } from "./language.svelte";
import type { Phrases } from "./reword";

interface Said {
  sentences: Phrases;
  inCharts: Phrases;
}

let german: Said | null = $state.raw(null);
let asked: Promise<unknown> | null = null;

function words(): Said | null {
  if (shown.language === "en") return null;
  if (!german) void fetchSaid();
  return german;
}

/** Fetches the words of the language that is not the program's. */
export function fetchSaid(): Promise<unknown> {
  return (asked ??= import("./de/said").then((all) => (german = all)));
}

/** Sentences of the program: a verdict, a finding, an error. */
export function said(text: string): string {
  return words()?.sentences.reword(text) ?? text;
}

const FIGURE = /^(?:(.+?)[ \u00a0])?(\d[\d.]*(?:[–-]\d[\d.]*)?(?:×|[ \u00a0]?(?:ns|µs|ms|s|B|KiB|MiB|GiB|TiB|%))?)$/;

/** A label in a chart, or a cell of its table. */
export function label(text: string): string {
  const all = words();
  if (!all) return text;
  return text
    .split(" · ")
    .map((part) => {
      const [, name, figure] = FIGURE.exec(part) ?? [];
      if (figure === undefined) return all.inCharts.reword(part);
      const decimal = figure.replace(/(\d)\.(?=\d)/g, "$1,");
      return name === undefined ? decimal : named(all.inCharts, part, name, decimal);
    })
    .join(" · ");
}

/** A name with a figure, unless a phrase has words for both. */
function named(inCharts: Phrases, part: string, name: string, figure: string): string {
  const whole = inCharts.reword(part);
  return whole === part ? `${inCharts.reword(name)} ${figure}` : whole;
}
