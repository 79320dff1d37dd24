// Why a lesson of one's own cannot be read.

import type { Phrase } from "../../reword";

export const lessons: readonly Phrase[] = [
  ["{name}, line {line}: {problem}", "{0}, Zeile {1}: {2}"],
  ["it is longer than {} KiB", "sie ist länger als {0} KiB"],
  ["it has more than {MOST_BLOCKS} blocks", "sie hat mehr als {0} Blöcke"],
  ["its lists lie too deep", "ihre Listen liegen zu tief ineinander"],
  ["a lesson has one `# Title`: steps begin with `##`", "eine Lektion hat nur ein `# Titel`: Schritte beginnen mit `##`"],
  ["this stands before the first step: begin one with `##`", "das steht vor dem ersten Schritt: einen mit `##` beginnen"],
  ["it has no title: begin it with `# Title`", "sie hat keinen Titel: sie mit `# Titel` beginnen"],
  ["it has no steps: begin each with `## Heading`", "sie hat keine Schritte: jeden mit `## Überschrift` beginnen"],

  ["`{info}` is no block: expected one of {}", "`{0}` ist kein Block: erwartet ist einer von {1}"],
  ["there is nothing in it", "es steht nichts darin"],
  ["`{word}` is no experiment", "`{0}` ist kein Experiment"],
  ["one experiment is enough for a block", "ein Experiment genügt für einen Block"],
  ["`{word}` is no picture: expected architecture", "`{0}` ist kein Bild: erwartet ist architecture"],
  ["one picture is enough for a block", "ein Bild genügt für einen Block"],
  ["`{line}` is neither a choice (`- …`) nor `why: …`", "`{0}` ist weder eine Antwort (`- …`) noch `why: …`"],
  ["it asks nothing", "darin wird nichts gefragt"],
  ["it needs two choices at least, each on a line `- …`", "es braucht mindestens zwei Antworten, jede in einer Zeile `- …`"],
  ["a prediction has no `why:`: write an `explain` block", "eine Vorhersage hat kein `why:`: einen Block `explain` schreiben"],
  ["the choice `{choice}` begins with neither [x] nor [ ]", "die Antwort `{0}` beginnt weder mit [x] noch mit [ ]"],
  ["{} choices are right ([x]): expected one", "{0} Antworten sind richtig ([x]): erwartet ist eine"],
  ["it does not say why: add `why: …` as the last line", "es fehlt, warum: `why: …` als letzte Zeile anfügen"],

  ["a quotation mark is not closed", "ein Anführungszeichen ist nicht geschlossen"],
  ["there is no command", "es steht kein Befehl da"],
  ["`{program}` is not run by lessons: expected a tandem command", "`{0}` führen Lektionen nicht aus: erwartet ist ein Befehl mit tandem"],
  ["`tandem {verb}` is not run by lessons", "`tandem {0}` führen Lektionen nicht aus"],
  ["`{word}` is outside the lesson's folder", "`{0}` liegt außerhalb des Ordners der Lektion"],
  ["`{value}` is outside the lesson's folder", "`{0}` liegt außerhalb des Ordners der Lektion"],
  ["the option `{name}` is not given by lessons", "die Option `{0}` geben Lektionen nicht"],
  ["the option `{name}` lacks its value", "der Option `{0}` fehlt ihr Wert"],
  ["`{value}` is no volume of Tandem's: expected NAME:PATH", "`{0}` ist kein Volume von Tandem: erwartet ist NAME:PFAD"],
  ["`{value}` names an address: lessons publish on this machine only", "`{0}` nennt eine Adresse: Lektionen veröffentlichen nur auf diesem Rechner"],

  ["`{line}` is no check: expected `file PATH [contains \"TEXT\"]`, `image NAME`, `instance NAME running|stopped|absent`, `port N[|N] answers [\"TEXT\"]`, `volume NAME` or `result EXPERIMENT`", "`{0}` ist keine Prüfung: erwartet ist `file PFAD [contains \"TEXT\"]`, `image NAME`, `instance NAME running|stopped|absent`, `port N[|N] answers [\"TEXT\"]`, `volume NAME` oder `result EXPERIMENT`"],
  ["`{word}` is no state: expected running, stopped or absent", "`{0}` ist kein Zustand: erwartet ist running, stopped oder absent"],
  ["`{word}` is no port: expected 1 to 65535", "`{0}` ist kein Port: erwartet ist 1 bis 65535"],
];
