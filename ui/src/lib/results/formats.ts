// As what a result is exported, in the order in which the page offers it.

import type { ResultFormat } from "../bindings/ResultFormat";

export interface ExportFormat {
  id: ResultFormat;
  title: string;
  /** How its files end, which is also its name on the command line. */
  ending: string;
  /** Whether it is a picture, which is drawn for a light or a dark ground. */
  picture: boolean;
}

export const FORMATS: readonly ExportFormat[] = [
  { id: "html", title: "HTML report", ending: "html", picture: false },
  { id: "pdf", title: "PDF report", ending: "pdf", picture: false },
  { id: "png", title: "PNG, all charts", ending: "png", picture: true },
  { id: "svg", title: "SVG, the first chart", ending: "svg", picture: true },
  { id: "json", title: "JSON", ending: "json", picture: false },
  { id: "csv", title: "CSV", ending: "csv", picture: false },
  { id: "markdown", title: "Markdown", ending: "md", picture: false },
];

export function formatOf(id: ResultFormat): ExportFormat {
  return FORMATS.find((format) => format.id === id) ?? FORMATS[0]!;
}
