import type { Catalogue } from "..";
import { plural } from "../plural";

const n = plural("de");

const MONTHS = ["Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."];

export const common: Catalogue["common"] = {
  copy: "kopieren",
  copied: "kopiert",
  copiedAloud: "Kopiert",
  copyByHand: "von Hand markieren und kopieren",
  copyCommand: "Befehl kopieren",
  dismiss: "schließen",
  cancel: "Abbrechen",
  cancelling: "Wird abgebrochen…",
  remove: "Entfernen",
  open: "Öffnen",
  start: "Starten",
  starting: "Startet…",
  stop: "Anhalten",
  run: "Ausführen",
  runAgain: "Noch einmal ausführen",
  actions: "Aktionen",
  yes: "ja",
  no: "nein",
  container: "einem Container",
  virtualMachine: "einer virtuellen Maschine",
  bareProcess: "einem bloßen Prozess",
  of: (part, all) => `${part} von ${all}`,
  listed: (list) => list.join("; "),
  /** A day, its month from nought, and the time of day. */
  moment: (day, month, year, clock) => `${day}. ${MONTHS[month]} ${year}, ${clock}`,
  cores: (count) => n(count, `${count} Kern`, `${count} Kerne`),
  trials: (count) => n(count, `${count} Durchgang`, `${count} Durchgänge`),
  writing: "Schreibt…",
  writtenTo: (file) => `In ${file} geschrieben.`,
  givenBack: (amount) => `${amount} freigegeben.`,
  asPicture: "als Bild",
  asTable: "als Tabelle",
};
