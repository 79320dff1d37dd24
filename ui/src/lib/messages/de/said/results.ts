// Results that are kept, handed in, joined and put side by side: why one does
// not count, and what is different between two.

import type { Phrase } from "../../reword";

const none = { none: "keine" };

export const results: readonly Phrase[] = [
  // Runs.
  ["no lane can run here: {0}", "hier kann keine Bahn laufen: {0}"],
  ["cannot prepare lane {lane}: {source}", "die Bahn {0} lässt sich nicht vorbereiten: {1}"],
  ["the run was cancelled", "der Lauf wurde abgebrochen"],

  // What is kept.
  ["cannot {action} the results in {path}: {source}", "die Ergebnisse in {1} lassen sich nicht {0}: {2}", { open: "öffnen", read: "lesen", "write to": "schreiben", write: "schreiben" }],
  ["{path} was not written by this version of Tandem ({reason}): move it away, or use a newer Tandem", "{0} stammt nicht von dieser Version von Tandem ({1}): die Datei beiseite legen oder ein neueres Tandem benutzen"],
  ["the stored run {id} is damaged: {reason}", "der aufbewahrte Lauf {0} ist beschädigt: {1}"],
  ["the result {0} is here already: `tandem result show {0}` shows it", "das Ergebnis {0} ist schon hier: `tandem result show {1}` zeigt es"],
  ["there is no result `{0}`: `tandem result ls` lists them", "es gibt kein Ergebnis `{0}`: `tandem result ls` zeigt sie"],
  ["the run {id} cannot be resumed: {why}", "mit dem Lauf {0} lässt sich nicht weitermachen: {1}"],
  ["`{0}` is the beginning of several result ids: write more of it", "mit `{0}` beginnen die Kennungen mehrerer Ergebnisse: mehr davon schreiben"],

  // Files that are taken in.
  ["it is larger than {} MiB, more than any result has", "sie ist größer als {0} MiB, mehr als jedes Ergebnis hat"],
  ["it is not a whole JSON document ({0}): export the result again", "sie ist kein ganzes JSON-Dokument ({0}): das Ergebnis noch einmal exportieren"],
  ["it is `{0}`, and this version reads `{SCHEMA}`: export it with a Tandem of this version", "sie ist `{0}`, und diese Version liest `{1}`: mit einem Tandem dieser Version exportieren"],
  ["it does not hold what a result holds: {0}", "sie enthält nicht, was ein Ergebnis enthält: {0}"],
  ["its parts do not fit together: {0}", "ihre Teile passen nicht zusammen: {0}"],
  ["missing field `{}`", "das Feld `{0}` fehlt"],
  ["EOF while parsing {} at line {} column {}", "sie bricht ab in Zeile {1}, Spalte {2}, mitten in: {0}", { "a value": "einem Wert", "an object": "einem Objekt", "a list": "einer Liste", "a string": "einem Text" }],
  ["expected value at line {} column {}", "in Zeile {0}, Spalte {1} steht kein Wert"],
  ["it names no `schema`", "sie nennt kein `schema`"],
  ["it has {count} {what}, and no result has more than {most}", "sie hat {0} {1}, und kein Ergebnis hat mehr als {2}", {
    lanes: "Bahnen", trials: "Durchgänge", summaries: "Zusammenfassungen", ratios: "Verhältnisse", verdicts: "Urteile", warnings: "Warnungen", "differences between lanes": "Unterschiede zwischen Bahnen", "trials in its order": "Durchgänge in ihrer Reihenfolge", "kinds of phases": "Arten von Phasen", "kinds of metrics": "Arten von Messgrößen", "values in a table of its trials": "Werte in einer Tabelle ihrer Durchgänge", "parts of a trial's ledgers": "Teile in den Büchern eines Durchgangs", "values of trials": "Werte von Durchgängen", "points of its lines": "Punkte ihrer Linien",
  }],
  ["its id is not a plain word of eight characters or more", "ihre Kennung ist kein einfaches Wort von acht Zeichen oder mehr"],
  ["its experiment is not a plain word", "ihr Experiment ist kein einfaches Wort"],
  ["it ended before it began", "sie endete, bevor sie begann"],
  ["it has no lane", "sie hat keine Bahn"],
  ["it has more than {most} predictions, or one of more than {longest} characters", "sie hat mehr als {0} Vorhersagen, oder eine von mehr als {1} Zeichen"],
  ["a lane's id is no name", "die Kennung einer Bahn ist kein Name"],
  ["the lane {} is there twice", "die Bahn {0} ist zweimal da"],
  ["trial {number} is of a lane that is not there", "Durchgang {0} gehört zu einer Bahn, die nicht da ist"],
  ["a phase of trial {number} ends before it begins", "eine Phase von Durchgang {0} endet, bevor sie beginnt"],
  ["a metric of trial {number} is no single value", "eine Messgröße von Durchgang {0} ist kein einzelner Wert"],
  ["the summary of `{metric}` is of a lane that is not there", "die Zusammenfassung von `{0}` gehört zu einer Bahn, die nicht da ist"],
  ["`{metric}` is in {is}, not in {should}", "`{0}` ist in {1}, nicht in {2}", { "another unit": "einer anderen Einheit" }],
  ["the interval of `{metric}` is upside down", "das Intervall von `{0}` steht auf dem Kopf"],
  ["a ratio of `{}` is of a lane that is not there", "ein Verhältnis von `{0}` gehört zu einer Bahn, die nicht da ist"],
  ["the summary of `{}` in {} does not follow from its trials", "die Zusammenfassung von `{0}` in {1} folgt nicht aus ihren Durchgängen"],
  ["the ratio of `{}` of {} to {} does not follow from their trials", "das Verhältnis von `{0}` von {1} zu {2} folgt nicht aus deren Durchgängen"],
  ["`{name}` of trial {number} is a time below zero", "`{0}` von Durchgang {1} ist eine Zeit unter null"],
  ["a text in it has more than {TEXT} letters", "ein Text darin hat mehr als {0} Buchstaben"],

  // A class.
  ["none of its trials was measured: run the experiment again", "keiner ihrer Durchgänge wurde gemessen: das Experiment noch einmal ausführen"],
  ["it is the run of {earlier} once more, and would count twice", "sie ist noch einmal der Lauf von {0} und würde doppelt zählen"],
  ["set up as machine {}, or the same one", "ausgestattet wie Rechner {0}, oder derselbe"],
  ["one trial failed", "ein Durchgang ist gescheitert"],
  ["{several} trials failed", "{0} Durchgänge sind gescheitert"],
  ["{count} files are more than a class hands in: name at most {MOST}", "{0} Dateien sind mehr, als eine Klasse abgibt: höchstens {1} nennen"],
  ["{folder} has no .json file: name the folder with the results that were handed in", "in {0} ist keine .json-Datei: den Ordner mit den abgegebenen Ergebnissen nennen"],

  // Joining.
  ["at least two results are needed to join them", "zum Zusammenführen braucht es mindestens zwei Ergebnisse"],
  ["the result {0} is there twice, and its trials would count twice: name each once", "das Ergebnis {0} ist zweimal da, und seine Durchgänge würden doppelt zählen: jedes einmal nennen"],
  ["this version cannot judge the experiment `{0}`, so it cannot join its results", "diese Version kann das Experiment `{0}` nicht beurteilen und seine Ergebnisse also nicht zusammenführen"],
  ["{a} and {b} are not joined: {why}", "{0} und {1} werden nicht zusammengeführt: {2}"],
  ["the experiments differ: {} and {}; each has its own method", "die Experimente sind verschieden: {0} und {1}; jedes hat seine eigene Methode"],
  ["the images differ: {} and {}; different bytes are different subjects", "die Images sind verschieden: {0} und {1}; andere Bytes sind ein anderer Gegenstand"],
  ["the lanes differ: {} and {}; trials belong to lanes", "die Bahnen sind verschieden: {0} und {1}; Durchgänge gehören zu Bahnen"],
  ["the accelerators of {} differ: {} and {}; KVM and software emulation are never pooled", "die Beschleuniger von {0} sind verschieden: {1} und {2}; KVM und Software-Emulation werden nie vermengt", none],
  ["the engines of {} differ: {} and {}; the difference would be theirs", "die Engines von {0} sind verschieden: {1} und {2}; der Unterschied wäre ihrer"],
  ["the limits of {} differ; times under other limits are other times", "die Grenzen von {0} sind verschieden; Zeiten unter anderen Grenzen sind andere Zeiten"],
  ["the page cache was: {} and {}; that is a factor of its own", "der Seitencache war: {0} und {1}; das ist eine eigene Einflussgröße", { cold: "kalt" }],
  ["the machines differ: {} and {}; compare their ratios side by side, one result a machine (tandem result class)", "die Rechner sind verschieden: {0} und {1}; ihre Verhältnisse nebeneinander ansehen, ein Ergebnis je Rechner (tandem result class)"],

  // Side by side.
  ["at least two results are needed to compare them", "zum Vergleichen braucht es mindestens zwei Ergebnisse"],
  ["the result {0} is named twice: name each once", "das Ergebnis {0} ist zweimal genannt: jedes einmal nennen"],
  ["the experiments differ, {} and {}: each has its own method", "die Experimente sind verschieden, {0} und {1}: jedes hat seine eigene Methode"],
  ["the images differ, {} and {}: different bytes are different subjects", "die Images sind verschieden, {0} und {1}: andere Bytes sind ein anderer Gegenstand"],
  ["the first result has no such lane", "das erste Ergebnis hat diese Bahn nicht"],
  ["this result has no such lane", "dieses Ergebnis hat diese Bahn nicht"],
  ["the lanes are of different kinds", "die Bahnen sind von verschiedener Art"],
  ["the accelerators differ, {} and {}: KVM and software emulation are never compared", "die Beschleuniger sind verschieden, {0} und {1}: KVM und Software-Emulation werden nie verglichen", none],
  ["{which} did not measure it", "{0} hat es nicht gemessen", { "the first result": "das erste Ergebnis", "this result": "dieses Ergebnis" }],
  ["the units differ", "die Einheiten sind verschieden"],
  ["a yes or no has no ratio", "ein Ja oder Nein hat kein Verhältnis"],
  ["a zero or a negative number has no ratio", "eine Null oder eine negative Zahl hat kein Verhältnis"],
  ["its trials have no numbers", "seine Durchgänge haben keine Zahlen"],
  ["other machines: processor: {} and {}", "andere Rechner: Prozessor: {0} und {1}"],
  ["other machines, of the same kind of processor", "andere Rechner, mit derselben Art von Prozessor"],
  ["cores: {} and {}", "Kerne: {0} und {1}"],
  ["kernel: {} and {}", "Kernel: {0} und {1}"],
  ["system: {} and {}", "System: {0} und {1}"],
  ["control groups: {} and {}", "Kontrollgruppen: {0} und {1}"],
  ["hypervisor beneath: {} and {}", "Hypervisor darunter: {0} und {1}", { none: "keiner" }],
  ["engine of {}: {} and {}", "Engine von {0}: {1} und {2}"],
];
