import type { Catalogue } from "..";

export const terminal: Catalogue["terminal"] = {
  shellIn: (instance) => `Shell in ${instance}; Umschalt+Escape verlässt sie`,
  consoleOf: (instance) => `Konsole von ${instance}; Umschalt+Escape verlässt sie`,
  opening: "Wird geöffnet…",
  shellKeys: "Strg+Umschalt+C kopiert, Strg+Umschalt+V fügt ein, Umschalt+Escape verlässt",
  consoleKeys: "Die serielle Leitung vom Start an; Umschalt+Escape verlässt sie",
  machineEnded: "Die Maschine ist beendet.",
  noShell: "Es wurde keine Shell geöffnet.",
  shellEnded: "Die Shell ist beendet.",
  shellEndedWith: (code) => `Die Shell endete mit ${code}.`,
  again: "Wieder öffnen",
};
