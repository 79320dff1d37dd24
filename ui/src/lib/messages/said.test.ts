// The rule that what the program says has words in the other language too: the
// program's sources are read, and a sentence without a phrase is reported.

import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { bundles } from "./de/said/bundles";
import { charts } from "./de/said/charts";
import { checks } from "./de/said/checks";
import { doctor } from "./de/said/doctor";
import { errors } from "./de/said/errors";
import { guide } from "./de/said/guide";
import { lessons } from "./de/said/lessons";
import { results } from "./de/said/results";
import { verdicts } from "./de/said/verdicts";
import { warnings } from "./de/said/warnings";
import { shown } from "./language.svelte";
import { isSentence, literals } from "./literals";
import { type Phrase, Phrases } from "./reword";
import { fetchSaid, label, said } from "./said.svelte";

const CRATES = "../../../../crates/";
const TEXTS: Record<string, string> = import.meta.glob(
  ["../../../../crates/{lesson/src,lab/src,lab/src/import,lab/src/analysis,lab/src/beside,lab/src/class,lab/src/guide,lab/src/merge,lab/src/store,app/src/bundle,app/src/course,app/src/course/judge,app/src/lesson,container/src/*,rootless/src,image/src,image/src/registry,report/src,report/src/*,lab/src/analysis/*}/*.rs", "../../../../crates/{app,backend,build,vm,container}/src/{error,engine,base,doctor}.rs"],
  { query: "?raw", import: "default", eager: true },
);

const FINDINGS = ["Capability::ok", "Capability::limited", "Capability::missing"];

/** Sources by what is said in them; of some only the texts in these calls. */
const SOURCES: [readonly Phrase[], string[], string[]][] = [
  [verdicts, [], ["lab/src/analysis/verdicts.rs", "lab/src/analysis/contrast.rs", "lab/src/analysis/verdicts/equal.rs", "lab/src/analysis/verdicts/growth.rs", "app/src/course/judge.rs", "app/src/course/judge/timed.rs", "app/src/course/judge/supply.rs", "app/src/course/judge/kept.rs"]],
  [warnings, [], ["lab/src/analysis/warnings.rs", "lab/src/merge/told.rs"]],
  [doctor, [], ["container/src/container/probe.rs", "container/src/checkpoint/probe.rs", "rootless/src/capability.rs"]],
  [doctor, FINDINGS, ["container/src/process/engine.rs", "vm/src/engine.rs", "app/src/base.rs", "app/src/doctor.rs"]],
  [checks, [], ["app/src/lesson/check.rs"]],
  [lessons, [], ["lesson/src/markdown.rs", "lesson/src/directive.rs", "lesson/src/command.rs"]],
  [lessons, ["Err", "ok_or", "ok_or_else"], ["lesson/src/check.rs", "lesson/src/picture.rs"]],
  [results, [], ["lab/src/import.rs", "lab/src/import/follows.rs"]],
  [[...results, ...warnings], [], ["lab/src/error.rs", "lab/src/merge.rs", "lab/src/store/error.rs", "lab/src/beside/apart.rs", "lab/src/beside/mod.rs", "lab/src/class/mod.rs"]],
  [bundles, [], ["app/src/bundle/error.rs", "app/src/bundle/prepare.rs", "app/src/bundle/read.rs"]],
  [guide, [], ["lab/src/guide/advice.rs", "lab/src/guide/mod.rs", "lab/src/guide/evidence.rs"]],
  [errors, [], ["app/src/error.rs", "backend/src/error.rs", "image/src/error.rs", "image/src/registry/error.rs", "build/src/error.rs"]],
  [charts, [], ["report/src/from_result.rs", "report/src/ledger.rs", "report/src/lines/mod.rs", "report/src/race/layout.rs", "report/src/race/mod.rs", "report/src/distribution/mod.rs", "report/src/amounts/mod.rs", "report/src/matrix.rs", "report/src/timeline/mod.rs", "report/src/pictures/mod.rs", "report/src/pictures/words.rs", "report/src/lines/quantity.rs"]],
];

/** What nobody reads in the window, or what is said of it in parts. */
const APART = new Set([
  "measured times and sizes are never negative and far below 2^63", "a plot is a few thousand pixels wide",
  "{busy} {} and {}", "{} ({} {low} to {high})", "; its last output:", "came back", "did not", "still there", "answered the same", "did not answer the same", "has a kernel of its own", "shares the host's kernel", "contained in both", "not contained in both", "both marks came back", "not both marks came back",
  "the first result", "this result", "other machines", "other machines: processor", "control groups", "hypervisor beneath", "page cache", "engine of {}", "limits of {}", "{what}: {x} and {y}", "memory {}, thousandths of a processor {}, processes {}",
  "{what}: {x} and {y}; {because}", "the experiments differ", "each has its own method", "the images differ", "different bytes are different subjects", "the lanes differ", "trials belong to lanes", "the accelerators of {} differ", "KVM and software emulation are never pooled", "the engines of {} differ", "the difference would be theirs", "the page cache was", "that is a factor of its own", "the machines differ", "compare their ratios side by side, one result a machine (tandem result class)",
  "no difference above 5 %", "not enough evidence", "not enough evidence: fewer than four trials",
  "differences between lanes", "trials in its order", "kinds of phases", "kinds of metrics", "values in a table of its trials", "parts of a trial's ledgers", "values of trials", "points of its lines", "another unit",
  "`as` keeps within the range of the type, which is what is wanted", "Linux {} ({package})", "trying to {action} {}",
]);

/** A command, which is the same in every language. */
const COMMAND = /^(sudo|apt-get|export) (?!.*(,| or | and ))/;

/** What comes before and after it is said on its own. */
function alone(sentence: string): string {
  return sentence.replace(/^\{numbers\} /, "").trim();
}

/** What a value is called does not matter. */
function unnamed(sentence: string): string {
  return sentence.replace(/\{[^{}]*\}/g, "{}");
}

/** Parts of a chart's note, which a dot parts. */
function partsOf(phrases: readonly Phrase[], sentence: string): string[] {
  return phrases === charts ? sentence.split(" · ") : [sentence.replace(/\n[\s\S]*/, "")];
}

beforeAll(fetchSaid);
afterEach(() => {
  shown.language = "en";
});

describe("what the program says", () => {
  for (const [phrases, of, files] of SOURCES) {
    for (const file of files) {
      it(`has words for all of ${file}`, () => {
        const known = new Set(phrases.map(([sentence]) => unnamed(sentence.trim())));
        const all = literals(TEXTS[CRATES + file] ?? "", of).filter(isSentence);
        expect(all.length, "sentences in the source").toBeGreaterThan(0);
        const wanted = all.filter((one) => !APART.has(one) && !COMMAND.test(one)).flatMap((one) => partsOf(phrases, one));
        expect(wanted.filter((one) => !known.has(unnamed(alone(one))))).toEqual([]);
      });
    }
  }

  it("keeps every value, and none that is not there", () => {
    for (const [sentence, words] of [verdicts, warnings, doctor, errors, checks, guide, charts, results, bundles, lessons].flat()) {
      const given = [...sentence.matchAll(/\{[^{}]*\}/g)].length;
      const used = new Set([...words.matchAll(/\{(\d)\}/g)].map((one) => Number(one[1])));
      expect([...used].sort(), sentence).toEqual(Array.from({ length: given }, (_, at) => at));
    }
  });

  it("is reworded sentence by sentence, with the figures as the language writes them", () => {
    shown.language = "de";
    expect(
      said(
        "From the request to the first answer the VM took 22.4 times as long as the container (95 % interval 20.1 to 23; medians 9.00 s and 0.40 s, n = 5 and 5). The VM ran under software emulation (TCG), so the ratio is not the hypervisor's. Something new. Files were in the page cache.",
      ),
    ).toBe(
      "Von der Anforderung bis zur ersten Antwort brauchte die VM 22,4-mal so lange wie der Container (95-%-Intervall 20,1 bis 23; Mediane 9,00 s und 0,40 s, n = 5 und 5). Die VM lief in Software-Emulation (TCG), das Verhältnis ist also nicht das des Hypervisors. Something new. Die Dateien lagen im Seitencache.",
    );
    expect(said("In a second home the container answered the same and the VM did not; carried were 1.5 MiB and 90 MiB. A container needs a host kernel that fits; a VM needs a hypervisor of the same processor family.")).toMatch(
      /^In einem zweiten Datenordner antwortete gleich der Container und antwortete nicht gleich die VM; getragen wurden 1,5 MiB und 90 MiB\. Ein Container braucht/,
    );
    expect(said("VM: the mark on disk came back, the one in memory came back. Container: the mark on disk came back, the one in memory did not. So VMs do restore whole; a container is less ephemeral than the claim says, for its files can be kept.")).toContain("die im Speicher kam nicht zurück. VMs kommen also ganz zurück");
    expect(said("Beside a neighbour that keeps something busy without end, the slowest answers (p99) took so many times as long in the container and in the VM: processors 1.20 and 1.3; memory 1 and 2.")).toMatch(/: Prozessoren 1,20 und 1,3; Speicher 1 und 2\.$/);
    expect(said("not a fair comparison: CPU limit: 2 processors in container, none in process; memory limit: 512 MiB in container, none in process")).toBe("kein fairer Vergleich: Grenze der Prozessoren: 2 Prozessoren in container, keine in process; Grenze des Speichers: 512 MiB in container, keine in process");
    expect(said("cannot read /x/a.json: No such file or directory (os error 2); check the path")).toBe("/x/a.json lässt sich nicht lesen: es ist nicht da (os error 2); den Pfad prüfen");
    expect(said("there is no socket at /a/b.sock or /c.sock")).toBe("es gibt keinen Socket in /a/b.sock oder /c.sock");
    expect(said("container: 278 fit (memory runs out first), the first answer comes after 0.24 s. Containers share this machine's kernel: choose them where you trust the code, and for many or short-lived instances; a hole in the kernel is a hole in all of them.")).toMatch(/^container: 278 passen \(zuerst geht der Speicher aus\), die erste Antwort kommt nach 0,24 s\. Container teilen sich/);
    expect(said("Beside a neighbour that keeps something busy without end, the slowest answers (p99) took so many times as long in the container and in the VM: processors 1.2 (95 % interval 1.1 to 1.4) and 2 (95 % interval 1.5 to 3); disk 1 (range 1 to 2) and 2.5 (range 1 to 3).")).toMatch(/: Prozessoren 1,2 \(95-%-Intervall 1,1 bis 1,4\) und 2 \(95-%-Intervall 1,5 bis 3\); Platte 1 \(Spanne 1 bis 2\) und 2,5 \(Spanne 1 bis 3\)\.$/);
    expect(said("it is the run of ann.json once more, and would count twice")).toBe("sie ist noch einmal der Lauf von ann.json und würde doppelt zählen");
    expect(said("not measured as machine 1 was: page cache: warm and cold")).toBe("nicht gemessen wie Rechner 1: Seitencache: warm und kalt");
    expect(said("hypervisor beneath: kvm and none")).toBe("Hypervisor darunter: kvm und keiner");
    expect(said("this result did not measure it")).toBe("dieses Ergebnis hat es nicht gemessen");
    expect(said("/a/b.tandem is no bundle (it is empty): take a file that `tandem bundle create` made")).toBe("/a/b.tandem ist kein Bündel (es ist leer): eine Datei nehmen, die `tandem bundle create` gemacht hat");
    expect(said("the lesson cannot be read: mine, line 6: `rm` is not run by lessons: expected a tandem command")).toBe("die Lektion lässt sich nicht lesen: mine, Zeile 6: `rm` führen Lektionen nicht aus: erwartet ist ein Befehl mit tandem");
    expect(said("its parts do not fit together: it has 12 kinds of phases, and no result has more than 10")).toBe("ihre Teile passen nicht zusammen: sie hat 12 Arten von Phasen, und kein Ergebnis hat mehr als 10");
    expect(said("it is not a whole JSON document (EOF while parsing an object at line 3 column 7): export the result again")).toBe("sie ist kein ganzes JSON-Dokument (sie bricht ab in Zeile 3, Spalte 7, mitten in: einem Objekt): das Ergebnis noch einmal exportieren");
    expect(said("47 GiB are free at /tmp/a b. C")).toBe("47 GiB sind frei in /tmp/a b. C");
    expect(said("hybrid: version 1 with cpu, memory; no limits on pids")).toBe("gemischt: Version 1 mit cpu, memory; keine Grenzen für pids");
    shown.language = "en";
    expect(said("It is the other way round.")).toBe("It is the other way round.");
  });

  it("has labels of charts in it, with their figures", () => {
    shown.language = "de";
    const labels = ["median of 6 · whiskers: 95 % interval", "VM · micro, emulated", "8.31 s", "kernel 2.41 s", "supervisor 4.2 MiB", "0.33–0.36 s · n = 6", "trial 2 of 6", "24.4×", "0.5", "failed: exit code 3.11", "app anonymous 1 GiB"];
    expect(labels.map(label)).toEqual(["Median von 6 · Antennen: 95-%-Intervall", "VM · micro, emuliert", "8,31 s", "kernel 2,41 s", "Aufsicht 4,2 MiB", "0,33–0,36 s · n = 6", "Durchgang 2 von 6", "24,4×", "0,5", "fehlgeschlagen: exit code 3.11", "App, anonym 1 GiB"]);
    expect(["The class: time to the first answer", "So far: size of the image", "Process ÷ Container"].map(label)).toEqual(["Die Klasse: Zeit bis zur ersten Antwort", "Bisher: Größe des Images", "Prozess ÷ Container"]);
    shown.language = "en";
    expect(label("8.31 s")).toBe("8.31 s");
  });

  it("takes nothing for more than it is", () => {
    const phrases = new Phrases([["{} of {}", "{0} von {1}"], ["a (b) [c].*", "x"]]);
    expect(phrases.reword("1 of 2")).toBe("1 von 2");
    expect(phrases.reword("a (b) [c].*")).toBe("x");
    expect(phrases.reword("<b>$&</b> of $1")).toBe("<b>$&</b> von $1");
  });
});
