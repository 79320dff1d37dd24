import type { Catalogue } from "..";
import { told } from "./told";

export const experiments: Catalogue["experiments"] = {
  title: "Experimente",
  about: "Jedes stellt eine Behauptung über Container und virtuelle Maschinen auf die Probe, auf diesem Rechner.",
  claim: "Die Behauptung:",
  cannotRun: (why) => `Es kann nicht laufen: ${why}.`,
  prediction: "Deine Vorhersage.",
  subject: "Gegenstand",
  trialsEach: "Durchgänge je Bahn",
  trialsDone: (over, all) => `${over}${all === null ? "" : ` von ${all}`} Durchgängen fertig`,
  trials: "Durchgänge",
  why: "Warum",
  running: "läuft",
  missing: "Nicht in dieser Version",
  quoted: (claim) => `„${claim}“`,
  starting: "Beginnt",
  trialNow: (lane, at) => `${lane}, Durchgang ${at}`,
  outcomes: { measured: "gemessen", unavailable: "nicht möglich", failed: "gescheitert" },
  told,
};
