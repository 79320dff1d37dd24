// What a reader must know of a result besides its numbers.

import type { Phrase } from "../../reword";

export const warnings: readonly Phrase[] = [
  ["not measured as machine 1 was: {}", "nicht gemessen wie Rechner 1: {0}"],
  ["page cache: {} and {}", "Seitencache: {0} und {1}", { warm: "warm", cold: "kalt" }],
  ["limits of {}: memory {}, thousandths of a processor {}, processes {} and memory {}, thousandths of a processor {}, processes {}", "Grenzen von {0}: Speicher {1}, Tausendstel eines Prozessors {2}, Prozesse {3} und Speicher {4}, Tausendstel eines Prozessors {5}, Prozesse {6}"],
  ["not a fair comparison: {}", "kein fairer Vergleich: {0}"],
  ["{lane}: one trial shows no spread; run at least 6 with --trials 6", "{0}: ein Durchgang zeigt keine Streuung; mindestens 6 ausführen, mit --trials 6"],
  ["{lane}: with {n} trials an interval of the median covers the truth at most {} % of the time; run at least 6 for 95 %", "{0}: bei {1} Durchgängen trifft ein Intervall des Medians die Wahrheit in höchstens {2} % der Fälle; für 95 % mindestens 6 ausführen"],
  ["{lane}: times {} over the run; let the machine come to rest and run it again", "{0}: die Zeiten {1} im Lauf; den Rechner zur Ruhe kommen lassen und noch einmal ausführen", { rose: "stiegen", fell: "fielen" }],
  ["{lane}: {count} of {n} times lie far from the others; they are kept, look at the raw trials", "{0}: {1} von {2} Zeiten liegen weit von den anderen; sie bleiben stehen, siehe die einzelnen Durchgänge"],
  ["{lane}: requests were sent up to {} late (p99), which is in their latencies of {} (median); close other programs and run it again", "{0}: Anfragen gingen bis zu {1} zu spät hinaus (p99), was in ihren Latenzen von {2} (Median) steckt; andere Programme schließen und neu ausführen"],
  ["{lane}: times spread by {} % of their mean; close other programs and run more trials", "{0}: die Zeiten streuen um {1} % ihres Mittels; andere Programme schließen und mehr Durchgänge ausführen"],
  ["other programs kept {} % of the processors busy when the trials began; close them and run it again", "andere Programme beschäftigten {0} % der Prozessoren, als die Durchgänge begannen; sie schließen und noch einmal ausführen"],
  ["the image was built on {base} in place of the base that its Dockerfile names; results hold for this base", "das Image wurde auf {0} gebaut statt auf dem, das sein Dockerfile nennt; die Ergebnisse gelten für diese Basis"],
  ["{lane} did not run the same as the first lane: {}", "{0} führte nicht dasselbe aus wie die erste Bahn: {1}"],
  ["{lane} was left out: {reason}", "{0} wurde ausgelassen: {1}"],
  ["{lane} was given up after {failures} failures in a row; its trials say why", "{0} wurde nach {1} Fehlschlägen in Folge aufgegeben; die Durchgänge sagen, warum"],
  ["{lane}: {failed} of {of} trials failed and are in no estimate; their reasons are with the raw trials", "{0}: {1} von {2} Durchgängen schlugen fehl und stehen in keiner Schätzung; die Gründe stehen bei den einzelnen Durchgängen"],
  ["{lane}: the answer differs from launch to launch, so equal answers cannot be checked for this app", "{0}: die Antwort ist bei jedem Start eine andere, gleiche Antworten lassen sich bei dieser App also nicht prüfen"],
  ["trials are only in memory, for they could not be written: {reason}; save the result with --json", "die Durchgänge sind nur im Speicher, denn sie ließen sich nicht schreiben: {0}; das Ergebnis mit --json sichern"],
  ["before each trial the files of the lane were dropped from the page cache; what other programs hold mapped, the engines' own programs and the disk's own cache stayed warm", "vor jedem Durchgang wurden die Dateien der Bahn aus dem Seitencache geworfen; was andere Programme eingeblendet halten, die Programme der Engines selbst und der Cache der Platte blieben warm"],
  ["the run ended early and was resumed after {before} trials, in the same random order; what the machine did in between is not known", "der Lauf endete vorzeitig und wurde nach {0} Durchgängen in derselben zufälligen Reihenfolge fortgesetzt; was der Rechner dazwischen tat, ist nicht bekannt"],
  ["the machine's clock was set {} by {} during trial {index} of {lane}; launches are timed by another clock, but times of day around it are wrong", "die Uhr des Rechners wurde in Durchgang {2} von {3} um {1} {0}; Starts werden mit einer anderen Uhr gemessen, aber Uhrzeiten um ihn herum stimmen nicht", { back: "zurückgestellt", forward: "vorgestellt" }],
  ["Tandem itself was held still for {} during trial {index} of {lane} (Ctrl-Z, a debugger, or a machine without a moment for it), so its times may be too long; look at that trial, or run it again", "Tandem selbst stand während des Durchgangs {1} von {2} für {0} still (Strg-Z, ein Debugger oder ein Rechner ohne einen Augenblick dafür), seine Zeiten sind also vielleicht zu lang; diesen Durchgang ansehen oder neu ausführen"],
  ["the machine slept for {} during trial {index} of {lane}, which counts no time but cools caches and breaks connections; look at that trial, or run it again", "der Rechner schlief {0} in Durchgang {1} von {2}; das zählt keine Zeit, kühlt aber Caches und trennt Verbindungen; diesen Durchgang ansehen oder noch einmal ausführen"],
  ["joined from {} runs: {}", "aus {0} Läufen zusammengeführt: {1}"],
  ["in the run {}: {sentence}", "im Lauf {0}: {1}"],
  ["{}: the runs differ, `{metric}` of {} is {} times that of {}; their trials lie further apart than chance explains, and intervals over all of them are too narrow: look at them side by side with `tandem result compare`", "{0}: die Läufe unterscheiden sich, `{1}` von {2} ist das {3}-Fache von {4}; ihre Durchgänge liegen weiter auseinander, als der Zufall erklärt, und Intervalle über alle sind zu eng: sie mit `tandem result compare` nebeneinander ansehen"],
  ["another image", "ein anderes Image"],
];
