// What a build or a run is at, and what it had to do in its own way.

import type { Phrase } from "../../reword";

export const progress: readonly Phrase[] = [
  ["building {tag}", "{0} wird gebaut"],
  ["step {index} of {total}: {instruction}", "Schritt {0} von {1}: {2}"],
  ["step {index} is cached", "Schritt {0} kommt aus dem Cache"],
  ["{id}: getting ready", "{0}: wird vorbereitet"],
  ["stopping {} from the last comparison", "{0} vom letzten Vergleich wird angehalten"],
  ["{base} cannot be fetched: a base made from Debian packages stands in", "{0} lässt sich nicht holen: eine Basis aus Debian-Paketen springt ein"],
  ["{made} stands in for {base}", "{0} springt ein für {1}"],
  ["{} has no Dockerfile: name a folder that has one, or make a project from a sample", "{0} hat kein Dockerfile: einen Ordner nennen, der eines hat, oder ein Projekt aus einem Beispiel anlegen"],
  ["`{name}` is no name for a file in the project's folder: leave out the folder", "`{0}` ist kein Name für eine Datei im Ordner des Projekts: den Ordner weglassen"],
  ["{} is a link out of the project's folder: edit the file itself", "{0} ist ein Verweis aus dem Ordner des Projekts hinaus: die Datei selbst bearbeiten"],
  ["`{folder}` is not a whole path: begin it with / or ~/", "`{0}` ist kein ganzer Pfad: mit / oder ~/ beginnen"],
  ["{id} gave no answer that could be compared", "{0} gab keine Antwort, die sich vergleichen ließe"],
  ["response body: {} bytes in {a}, {} bytes in {b}, different from byte {} on (`{}` and `{}`)", "Antwort: {0} Bytes in {1}, {2} Bytes in {3}, verschieden ab Byte {4} (`{5}` und `{6}`)"],
  ["memory limit: {value} in {a}, {theirs} in {b}", "Grenze des Speichers: {0} in {1}, {2} in {3}", { none: "keine" }],
  ["CPU limit: {value} in {a}, {theirs} in {b}", "Grenze der Prozessoren: {0} in {1}, {2} in {3}", { none: "keine" }],
  ["image digest: {value} in {a}, {theirs} in {b}", "Prüfsumme des Images: {0} in {1}, {2} in {3}"],
  ["HTTP status: {value} in {a}, {theirs} in {b}", "HTTP-Status: {0} in {1}, {2} in {3}"],
  ["{} processors", "{0} Prozessoren"],
];
