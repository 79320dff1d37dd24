import type { Catalogue } from "..";
import { plural } from "../plural";
import { told } from "./told";

const n = plural("de");

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
  whatAndHow: "Was gemessen wird, und wie oft",
  otherRuns: (id) => `Das Experiment ${id} läuft: zwei zugleich würden einander stören.`,
  why: "Warum",
  history: "Frühere Läufe",
  earlier: (subject, trials) => `${subject} · ${n(trials, `${trials} Durchgang`, `${trials} Durchgänge`)}`,
  running: "läuft",
  missing: "Nicht in dieser Version",
  quoted: (claim) => `„${claim}“`,
  starting: "Beginnt",
  trialNow: (lane, at) => `${lane}, Durchgang ${at}`,
  warmupNow: (lane) => `${lane}, Aufwärmen`,
  outcomes: { measured: "gemessen", unavailable: "nicht möglich", failed: "gescheitert" },
  told,
};
