// What fits on a machine, and when to choose which.

import type { Phrase } from "../../reword";

export const guide: readonly Phrase[] = [
  ["no result of this machine measured {subject}", "kein Ergebnis dieses Rechners hat {0} gemessen"],
  ["{lane}: {n} trials tell of its memory, and {ENOUGH} are needed (tandem experiment run density --subject {subject} --lanes {lane} --trials {ENOUGH})", "{0}: {1} Durchgänge sagen etwas über ihren Speicher, und {2} sind nötig (tandem experiment run density --subject {3} --lanes {4} --trials {5})"],
  ["{}: what measured another image or under other limits does not count with the rest ({ids})", "{0}: was ein anderes Image oder unter anderen Grenzen gemessen hat, zählt nicht mit dem Übrigen ({1})"],
  ["there is nothing to reckon with: {why}. Next: tandem experiment run density size --subject {subject} --lanes container,vm --trials {ENOUGH}", "es gibt nichts, womit zu rechnen wäre: {0}. Als Nächstes: tandem experiment run density size --subject {1} --lanes container,vm --trials {2}"],
  ["On this machine fit {} of {} or {} of {}: what more of them cost is isolation, so choose by whom you trust first and by number second.", "Auf diesen Rechner passen {0} von {1} oder {2} von {3}: mehr davon kosten Isolation, also zuerst danach wählen, wem man traut, und dann nach der Zahl."],
  ["memory runs out first", "zuerst geht der Speicher aus"],
  ["disk space runs out first", "zuerst geht der Platz auf der Platte aus"],
  ["more would not start within a minute", "mehr würden nicht in einer Minute starten"],
  ["{} fit ({scarce}), the first answer comes after {}", "{0} passen ({1}), die erste Antwort kommt nach {2}"],
  ["{} fit ({scarce}){answer}", "{0} passen ({1}){2}"],
  [", the first answer comes after {}", ", die erste Antwort kommt nach {0}"],
  ["{name}: {numbers}. A VM has a kernel of its own, but here it runs under software emulation, where QEMU gives no isolation guarantee: choose it to learn and for another kernel, not to hold code that you do not trust.", "{0}: {1}. Eine VM hat einen eigenen Kernel, läuft hier aber in Software-Emulation, für deren Isolation QEMU keine Gewähr gibt: sie zum Lernen und für einen anderen Kernel wählen, nicht, um Code einzuschließen, dem man nicht traut."],
  ["{name}: {numbers}. A VM has a kernel of its own behind a hypervisor: choose it for code that you do not trust, for another kernel, and for snapshots with memory.", "{0}: {1}. Eine VM hat einen eigenen Kernel hinter einem Hypervisor: sie wählen für Code, dem man nicht traut, für einen anderen Kernel und für Snapshots mit Speicher."],
  ["{name}: {numbers}. A bare process has no isolation at all: it is what the others are compared with, not a choice.", "{0}: {1}. Ein bloßer Prozess ist gar nicht isoliert: an ihm werden die anderen gemessen, zur Wahl steht er nicht."],
  ["{name}: {numbers}. Containers share this machine's kernel: choose them where you trust the code, and for many or short-lived instances; a hole in the kernel is a hole in all of them.", "{0}: {1}. Container teilen sich den Kernel dieses Rechners: sie wählen, wo man dem Code traut, und für viele oder kurzlebige Instanzen; ein Loch im Kernel ist ein Loch in allen."],
];
