// As what a result is exported, in the order in which the page offers it.

import type { ResultFormat } from "../bindings/ResultFormat";

export interface ExportFormat {
  id: ResultFormat;
  /** How its files end, which is also its name on the command line. */
  ending: string;
  /** Whether it is a picture, which is drawn for a light or a dark ground. */
  picture: boolean;
}

export const FORMATS: readonly ExportFormat[] = [
  { id: "html", ending: "html", picture: false },
  { id: "pdf", ending: "pdf", picture: false },
  { id: "png", ending: "png", picture: true },
  { id: "svg", ending: "svg", picture: true },
  { id: "json", ending: "json", picture: false },
  { id: "csv", ending: "csv", picture: false },
  { id: "markdown", ending: "md", picture: false },
];

export function formatOf(id: ResultFormat): ExportFormat {
  return FORMATS.find((format) => format.id === id) ?? FORMATS[0]!;
}
