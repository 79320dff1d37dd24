// What a lesson's check found instead of what it asks for.

import type { Phrase } from "../../reword";

export const checks: readonly Phrase[] = [
  ["there is no check here", "hier ist nichts zu prüfen"],
  ["there is none", "es gibt keins"],
  ["it was not carried out to its end yet", "es wurde noch nicht bis zum Ende durchgeführt"],
  ["it runs", "sie läuft"],
  ["it does not run", "sie läuft nicht"],
  ["it is no file in the lesson's folder", "das ist keine Datei im Ordner der Lektion"],
  ["it is not there", "sie ist nicht da"],
  ["it does not", "das tut sie nicht"],
  ["port {port} answered {} “{}”", "Port {0} antwortete {1} „{2}“"],
  ["no answer within {} ms", "keine Antwort innerhalb von {0} ms"],
  ["the answer is not HTTP: it begins with `{0}`", "die Antwort ist kein HTTP: sie beginnt mit `{0}`"],
  ["the connection was closed before the answer was complete", "die Verbindung wurde geschlossen, bevor die Antwort vollständig war"],
  ["Connection refused (os error 111)", "dort hört niemand zu (os error 111)"],
];
