import type { Catalogue } from "..";

export const fit: Catalogue["fit"] = {
  title: "Was auf diesen Rechner passt",
  about: "Gerechnet aus dem, was hier gemessen wurde, mit dem oberen Ende jedes Intervalls: wie viele zugleich laufen, und was eine Klasse braucht.",
  subject: "Gegenstand",
  classSize: "Größe der Klasse",
  reckon: "Ausrechnen",
  reckoning: "Rechnet…",
  room: (memory, disk, cores) => `Jetzt frei: ${memory} Speicher, ${disk} Platte, ${cores}.`,
  lane: "Bahn",
  fits: "Passen",
  binding: "Zuerst geht aus",
  takes: "Jede braucht",
  classOf: (count) => `Eine Klasse mit ${count}`,
  scarce: { memory: "Speicher", disk: "Platte", processors: "Prozessoren" },
  each: (amount, what) => `${amount} ${what}`,
  enough: "passt",
  tooMuch: "passt nicht",
  leftOut: (why) => `Ausgelassen: ${why}`,
};
