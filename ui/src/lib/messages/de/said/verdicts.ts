// What a result says of the article's claims.

import type { Phrase } from "../../reword";
import { told } from "../told";

const emulatedTimes = "Die VM lief in Software-Emulation (TCG), ihre Zeiten sind also nicht die des Hypervisors.";
const more = "Weniger als {0} Durchgänge je Bahn sind zu wenig, um etwas zu belegen: mehr ausführen.";
const survived = { "still there": "noch da", gone: "weg" };
const cameBack = { "came back": "kam zurück", "did not": "kam nicht zurück" };

export const verdicts: readonly Phrase[] = [
  ["VMs are heavier than containers: a running VM takes more memory", "VMs sind schwerer als Container: eine laufende VM nimmt mehr Speicher"],
  ["The claim compares a container with a VM, and this run had no {missing} lane: add it with --lanes container,vm.", "Die Behauptung vergleicht einen Container mit einer VM, und diesem Lauf fehlte die Bahn {0}: mit --lanes container,vm dazunehmen."],
  ["From the request to the first answer the VM took {} times as long as the container ({}).", "Von der Anforderung bis zur ersten Antwort brauchte die VM {0}-mal so lange wie der Container ({1})."],
  ["The VM ran with KVM.", "Die VM lief mit KVM."],
  ["The VM ran under software emulation (TCG), so the ratio is not the hypervisor's.", "Die VM lief in Software-Emulation (TCG), das Verhältnis ist also nicht das des Hypervisors."],
  ["Files were in the page cache.", "Die Dateien lagen im Seitencache."],
  ["Speed says nothing about isolation: a VM has a kernel of its own, a container shares the host's.", "Von Isolation sagt Geschwindigkeit nichts: eine VM hat einen eigenen Kernel, ein Container teilt sich den des Rechners."],
  ["After its first answers the VM took {} times as much of the host's memory as the container ({}; proportional set size).", "Nach ihren ersten Antworten nahm die VM {0}-mal so viel Speicher des Rechners wie der Container ({1}; anteilige Größe, PSS)."],
  ["A VM holds a kernel and a page cache of its own; the container uses the host's, which is not counted here.", "Eine VM hat einen eigenen Kernel und Seitencache; der Container nutzt die des Rechners, die hier nicht mitzählen."],
  ["On disk {} takes {} and the container {} ({} times as much; image and own files of one instance, medians of {n} trials each).", "Auf der Platte braucht {0} {1} und der Container {2} ({3}-mal so viel; Image und eigene Dateien einer Instanz, Mediane von je {4} Durchgängen)."],
  ["the VM", "die VM"],
  ["the VM with a whole operating system", "die VM mit einem ganzen Betriebssystem"],
  ["The container's image alone is larger than 1 GB.", "Schon das Image des Containers ist größer als 1 GB."],
  ["A further instance of the same image adds {} (VM) and {} (container).", "Eine weitere Instanz desselben Images kostet {0} (VM) und {1} (Container)."],
  ["The VM is {}; the other machines' figures stand in the table.", "Die VM ist {0}; die Zahlen der anderen Maschinen stehen in der Tabelle."],
  ["{kind} {} to {}; medians {} and {}, n = {} and {}", "{0} {1} bis {2}; Mediane {3} und {4}, n = {5} und {6}"],
  ["95 % interval {} to {}; medians {} and {}, n = {} and {}", "95-%-Intervall {0} bis {1}; Mediane {2} und {3}, n = {4} und {5}"],
  ["95 % interval", "95-%-Intervall"],
  ["range", "Spanne"],
  ["The first reason: {line}", "Der erste Grund: {0}"],
  ["No trial measured it in {}.{}", "In {0} hat kein Durchgang es gemessen.{1}"],
  ["This comparison is unfair ({}).", "Dieser Vergleich ist nicht gerecht ({0})."],
  ["The VM stays below 1 GB because its Debian has only what boots and serves; systems as people install them are larger.", "Die VM bleibt unter 1 GB, weil ihr Debian nur hat, was startet und dient; Systeme, wie man sie sonst installiert, sind größer."],
  ["The VM stays below 1 GB because it is the `micro` kind: a kernel, a small init and the same files as the container. The gigabytes of the claim are those of a whole operating system: add the lane vm/full.", "Die VM bleibt unter 1 GB, weil sie von der Art `micro` ist: ein Kernel, ein kleines Init und dieselben Dateien wie der Container. Die Gigabytes der Behauptung sind die eines ganzen Betriebssystems: die Bahn vm/full dazunehmen."],
  ["It is the other way round.", "Es ist umgekehrt."],
  ["The difference is below {} %, too small to matter.", "Der Unterschied liegt unter {0} % und ist zu klein, um etwas auszumachen."],
  ["The interval leaves open which side is ahead: run more trials.", "Das Intervall lässt offen, wer vorn liegt: mehr Durchgänge ausführen."],
  ["Fewer than {} trials a lane are not enough evidence: run more.", more],

  ["Two equal lanes show no difference (A/A)", "Zwei gleiche Bahnen zeigen keinen Unterschied (A/A)"],
  ["No trial measured `{metric}` in both.", "Kein Durchgang hat `{0}` in beiden gemessen."],
  ["`{metric}` of {b} divided by that of {a} is {} ({} {} to {}; n = {} and {}).", "`{0}` von {1} geteilt durch das von {2} ist {3} ({4} {5} bis {6}; n = {7} und {8})."],
  ["`{metric}` of {b} divided by that of {a} is {} (95 % interval {} to {}; n = {} and {}).", "`{0}` von {1} geteilt durch das von {2} ist {3} (95-%-Intervall {4} bis {5}; n = {6} und {7})."],
  ["`{metric}` was yes {of_a} and {of_b}.", "`{0}` war ja {1} und {2}."],
  ["in {yes} of {} trials of {lane}", "in {0} von {1} Durchgängen von {2}"],
  ["`{metric}` was zero in all {y} trials of {} and all {x} of {}.", "`{0}` war null in allen {1} Durchgängen von {2} und allen {3} von {4}."],
  ["`{metric}` was zero or less in a trial of {} or {}, of which there is no ratio.", "`{0}` war in einem Durchgang von {1} oder {2} null oder weniger, wovon es kein Verhältnis gibt."],
  ["So few trials show little: run more.", "So wenige Durchgänge zeigen wenig: mehr ausführen."],
  ["{often} such runs misses by chance; if it happens again, smaller differences of this machine mean nothing.", "{0} solchen Läufen liegt durch Zufall daneben; geschieht es wieder, bedeuten kleinere Unterschiede dieses Rechners nichts."],
  ["One in twenty", "Einer von zwanzig"],
  ["One in twelve", "Einer von zwölf"],

  ["A further VM took {} times as much of the host's memory as a further container ({}).", "Eine weitere VM nahm {0}-mal so viel Speicher des Rechners wie ein weiterer Container ({1})."],
  ["One instance alone shows no growth: let more run with --instances.", "Eine Instanz allein zeigt kein Wachstum: mit --instances mehr laufen lassen."],
  ["By that, {} containers or {} VMs fit into the memory that was free; reckoned, not tried.", "Danach passen {0} Container oder {1} VMs in den Speicher, der frei war; gerechnet, nicht ausprobiert."],
  ["All of them were idle, and a VM keeps its kernel apart from its neighbours', which a container does not.", "Alle waren im Leerlauf, und eine VM trennt ihren Kernel von denen ihrer Nachbarn, ein Container nicht."],
  ["While its limits changed the container lost {} of {} requests in {} trials; stopped, changed and started, the VM was away for {} (median of {}).", "Während sich seine Grenzen änderten, verlor der Container {0} von {1} Anfragen in {2} Durchgängen; angehalten, geändert und gestartet war die VM {3} fort (Median von {4})."],
  ["The VM could not be changed while it ran.", "Die VM ließ sich nicht im Lauf ändern."],
  ["But a VM that was started with room to grow was changed while it ran too, and lost {} requests.", "Eine VM, die mit Platz zum Wachsen gestartet war, wurde aber auch im Lauf geändert und verlor {0} Anfragen."],
  ["A container that is stopped for it is away as well; the VM {} times as long ({}).", "Ein Container, der dafür angehalten wird, ist ebenfalls fort; die VM {0}-mal so lange ({1})."],
  ["The VM ran under software emulation (TCG), so its times are not the hypervisor's.", emulatedTimes],

  ["The claim speaks of a container and a VM, and this run had not both: add them with --lanes container,vm.", "Die Behauptung spricht von einem Container und einer VM, und dieser Lauf hatte nicht beide: mit --lanes container,vm dazunehmen."],
  ["The VM ran under software emulation, so its times are not the hypervisor's.", emulatedTimes],
  ["From the changed line to the answer the VM took {} times as long as the container ({}).", "Von der geänderten Zeile bis zur Antwort brauchte die VM {0}-mal so lange wie der Container ({1})."],
  ["A build without a cache, which is the same for both, took {} in the container's trials and {} in the VM's (medians).", "Ein Build ohne Cache, der für beide derselbe ist, dauerte in den Durchgängen des Containers {0} und in denen der VM {1} (Mediane)."],
  ["Asked for {}, a container without a limit got {}, one with a limit {}, and the VM {} of what it was given.", "Von {0} Bedarf bekam ein Container ohne Grenze {1}, einer mit Grenze {2}, und die VM {3} von dem, was sie hatte."],
  ["Asked for {} processors, they got {}, {} and {}.", "Von {0} verlangten Prozessoren bekamen sie {1}, {2} und {3}."],
  ["Without a limit it got no more either, so others kept this machine's processors busy.", "Ohne Grenze bekam er auch nicht mehr, andere beschäftigten also die Prozessoren dieses Rechners."],
  ["The limit held the container back in {} of {} periods.", "Die Grenze bremste den Container in {0} von {1} Perioden."],
  ["Given more while it ran, which took {}, the VM got {} and {} processors.", "Als sie im laufenden Betrieb mehr bekam, was {0} dauerte, kam die VM auf {1} und {2} Prozessoren."],
  ["When the app wanted its memory no more, the container held {} of the host's and the VM {}, and {} after its balloon and its devices had taken some back.", "Als die App ihren Speicher nicht mehr wollte, hielt der Container {0} vom Speicher des Rechners und die VM {1}, und {2}, nachdem ihr Ballon und ihre Geräte etwas davon zurückgenommen hatten."],
  ["VM: the mark on disk {}, the one in memory {}. Container: the mark on disk {}, the one in memory {}. {machine}; {container}.", "VM: die Marke auf der Platte {0}, die im Speicher {1}. Container: die Marke auf der Platte {2}, die im Speicher {3}. {4}; {5}.", cameBack],
  ["So VMs do restore whole", "VMs kommen also ganz zurück"],
  ["So this VM did not restore whole", "Diese VM kam also nicht ganz zurück"],
  ["a container is less ephemeral than the claim says, for its files can be kept", "ein Container ist weniger flüchtig, als die Behauptung sagt, denn seine Dateien lassen sich behalten"],
  ["a container is less ephemeral than the claim says, for its files can be kept, and by a checkpoint (CRIU) its memory too", "ein Container ist weniger flüchtig, als die Behauptung sagt, denn seine Dateien lassen sich behalten, und durch einen Checkpoint (CRIU) auch sein Speicher"],
  ["of this container the files did not come back", "von diesem Container kamen die Dateien nicht zurück"],
  ["In a second home, which stands for another server, the VM's memory was restored too: {}.", "In einem zweiten Datenordner, der für einen anderen Server steht, wurde auch der Speicher der VM zurückgeholt: {0}.", { "both marks came back": "beide Marken kamen zurück", "not both marks came back": "nicht beide Marken kamen zurück" }],
  ["From a snapshot of the VM's files alone the mark in memory {}.", "Aus einem Snapshot nur der Dateien der VM kam die Marke im Speicher {0}.", { "came back": "zurück", "did not": "nicht zurück" }],
  ["In a new instance of an image that was committed of the container the mark on disk {}, the one in memory {}.", "In einer neuen Instanz eines Images, das aus dem Container gemacht war (commit): die Marke auf der Platte {0}, die im Speicher {1}.", cameBack],
  ["With a copy of its volume the mark in the volume {}, the one on disk {}, the one in memory {}.", "Mit einer Kopie seines Volumes: die Marke im Volume {0}, die auf der Platte {1}, die im Speicher {2}.", cameBack],
  ["A program that took more and more memory was stopped at the limit in both.", "Ein Programm, das immer mehr Speicher nahm, wurde in beiden an der Grenze angehalten."],
  ["A program that took more and more memory was not stopped at the limit in both.", "Ein Programm, das immer mehr Speicher nahm, wurde nicht in beiden an der Grenze angehalten."],
  ["In the container's own files the mark was {} after a restart and {} after it was made anew; in its volume it was {}. In the VM's disk it was {} after a restart and {} after it was made anew: a disk file goes with its machine.", "In den eigenen Dateien des Containers war die Marke nach einem Neustart {0} und, als er neu angelegt war, {1}; in seinem Volume war sie {2}. Auf der Platte der VM war sie nach einem Neustart {3} und, als sie neu angelegt war, {4}: eine Plattendatei geht mit ihrer Maschine.", survived],
  ["In a second home the container {} and the VM {}; carried were {} and {}.", "In einem zweiten Datenordner {0} der Container und {1} die VM; getragen wurden {2} und {3}.", { "answered the same": "antwortete gleich", "did not answer the same": "antwortete nicht gleich", "did not": "antwortete nicht gleich" }],
  ["The VM {}, the container {}. Of the host's processes and files the VM saw {}, the container {}. The bomb of processes was {}.", "Die VM {0}, der Container {1}. Von den Prozessen und Dateien des Rechners sah die VM {2}, der Container {3}. Die Prozessbombe blieb {4}.", { "has a kernel of its own": "hat einen eigenen Kernel", "shares the host's kernel": "teilt sich den Kernel des Rechners", none: "nichts", some: "etwas", "contained in both": "in beiden gefangen", "not contained in both": "nicht in beiden gefangen" }],
  ["The verdict goes by computing, which took {} times the bare process's time in the container and {} times in the VM.", "Das Urteil richtet sich nach dem Rechnen: es dauerte im Container {0}-mal und in der VM {1}-mal so lange wie im bloßen Prozess."],
  ["The same server answered {} requests a second as a process; {} times as many in the container and {} times in the VM, their published ports included.", "Derselbe Server beantwortete je Sekunde {0} Anfragen als Prozess; im Container {1}-mal so viele und in der VM {2}-mal, veröffentlichte Ports inbegriffen."],
  ["Beside a neighbour {} of {of_container} requests to the container and {} of {of_vm} to the VM had no answer, and are in no percentile: the slowest answers were slower than that.", "Neben einem Nachbarn blieben {0} von {1} Anfragen an den Container und {2} von {3} an die VM ohne Antwort und stehen in keinem Perzentil: die langsamsten Antworten waren langsamer als das."],
  ["A trial asked the container {} times and the VM {} times; of fewer than a hundred answers, p99 is about the slowest.", "Ein Durchgang fragte den Container {0}-mal und die VM {1}-mal; bei weniger als hundert Antworten ist p99 etwa die langsamste."],
  ["{} (95 % interval {} to {})", "{0} (95-%-Intervall {1} bis {2})"],
  ["{} (range {} to {})", "{0} (Spanne {1} bis {2})"],
  ["Beside a neighbour that keeps something busy without end, the slowest answers (p99) took so many times as long in the container and in the VM: {}.", "Neben einem Nachbarn, der etwas ohne Ende beschäftigt, dauerten die langsamsten Antworten (p99) im Container und in der VM so oft so lange: {0}."],
  ...(
    [
      ["processors", "Prozessoren"],
      ["memory", "Speicher"],
      ["disk", "Platte"],
    ] as const
  ).flatMap(([busy, word]): Phrase[] => [
    [`${busy} {} and {}`, `${word} {0} und {1}`],
    [`${busy} {} (95 % interval {} to {}) and {} (95 % interval {} to {})`, `${word} {0} (95-%-Intervall {1} bis {2}) und {3} (95-%-Intervall {4} bis {5})`],
    [`${busy} {} (range {} to {}) and {} (range {} to {})`, `${word} {0} (Spanne {1} bis {2}) und {3} (Spanne {4} bis {5})`],
  ]),
  ["The claim compares both with a bare process, and this run had none: add it with --lanes process,container,vm.", "Die Behauptung vergleicht beide mit einem bloßen Prozess, und dieser Lauf hatte keinen: mit --lanes process,container,vm dazunehmen."],
  ["Not every lane was measured. The first reason: {line}", "Nicht jede Bahn wurde gemessen. Der erste Grund: {0}"],
  ["Not every lane was measured.", "Nicht jede Bahn wurde gemessen."],

  // As earlier versions said it, whose results are still read.
  ["VM: the mark on disk {}, the one in memory {}. Container: the mark on disk {}, the one in memory {}. So VMs do restore whole; a container is less ephemeral than the claim says, for its files can be kept{}.", "VM: die Marke auf der Platte {0}, die im Speicher {1}. Container: die Marke auf der Platte {2}, die im Speicher {3}. VMs kommen also ganz zurück; ein Container ist weniger flüchtig, als die Behauptung sagt, denn seine Dateien lassen sich behalten{4}.", cameBack],
  [", and by a checkpoint (CRIU) its memory too", ", und durch einen Checkpoint (CRIU) auch sein Speicher"],
  ["From the changed line to the answer the VM took {} times as long as the container ({}); a build without a cache takes {}.", "Von der geänderten Zeile bis zur Antwort brauchte die VM {0}-mal so lange wie der Container ({1}); ein Build ohne Cache dauert {2}."],
  ["While its limits changed the container lost {} requests in {} trials; stopped, changed and started, the VM was away for {} (median of {}).", "Während sich seine Grenzen änderten, verlor der Container {0} Anfragen in {1} Durchgängen; angehalten, geändert und gestartet war die VM {2} fort (Median von {3})."],
  ["A container that is stopped for it is away as well; the VM {} as long.", "Ein Container, der dafür angehalten wird, ist ebenfalls fort; die VM {0} so lange."],
  ["That is too few trials to decide by: run {ENOUGH} with --trials {ENOUGH}.", "Das sind zu wenige Durchgänge, um zu entscheiden: {0} ausführen, mit --trials {1}."],
  ["From the changed line to the answer it took {} with the container and {} with the VM ({} times); a build without a cache takes {}.", "Von der geänderten Zeile bis zur Antwort dauerte es mit dem Container {0} und mit der VM {1} ({2}-mal); ein Build ohne Cache dauert {3}."],
  ["In the container's own files the mark was {} after a restart and {} after it was made anew; in its volume it was {}. In the VM's disk it was {} after a restart.", "In den eigenen Dateien des Containers war die Marke nach einem Neustart {0} und, als er neu angelegt war, {1}; in seinem Volume war sie {2}. Auf der Platte der VM war sie nach einem Neustart {3}.", survived],
  ["Computing took {} times the bare process's time in the container and {} times in the VM.{}", "Rechnen dauerte im Container {0}-mal und in der VM {1}-mal so lange wie im bloßen Prozess.{2}"],
  ["The same server answered {} requests a second as a process, {} in the container and {} in the VM.", "Derselbe Server beantwortete je Sekunde {0} Anfragen als Prozess, {1} im Container und {2} in der VM."],

  ...(
    [
      ["startup", "Containers are faster to spin up than a VM", "Speed says nothing about isolation. Without KVM the machine is emulated, and the ratio is not the hypervisor's."],
      ["size", "Virtual machines are heavy (GB), containers are lightweight (MB)", "The gigabytes of the claim are those of a whole operating system; a small machine holds only a kernel and the app's files. The container's page cache is the host's and not counted."],
      ["density", "Containers are lightweight: more of them fit on one machine", "How many fit is reckoned from the memory that each further instance took while idle; under load they need more, and processors are shared."],
      ["build", "Containers are faster to build", "Most of a cold build is the network and the package manager, which both lanes share."],
      ["resize", "Reallocating resources takes a VM offline, a container stays up", "A VM stays up too when it was started with room to grow; the claim holds for the cold way. `resize_lag` ends when the kernel or the hypervisor confirmed the limit, not when the app noticed it."],
      ["elasticity", "A container gets resources automatically, a VM needs them allocated", "A container without a limit can take the whole machine with it."],
      ["snapshot", "VMs take snapshots that restore on another server; containers are ephemeral", "A saved memory holds secrets and stale connections too."],
      ["persistence", "VM storage persists in its disk file, container storage is ephemeral unless a volume is added", "A stopped container keeps its layer until it is removed: ephemeral means that a new one begins anew."],
      ["portability", "Both are portable", "A container needs a host kernel that fits; a VM needs a hypervisor of the same processor family."],
      ["isolation", "A VM is partitioned by the hypervisor, a container by the engine", "What was contained here is no proof against an attack nobody tried; under software emulation QEMU gives no isolation guarantee."],
      ["overhead", "Containers are lightweight", "Without KVM the machine is emulated, and the ratio is not the hypervisor's."],
      ["neighbour", "Both offer a secure sandbox", "Sharing fairly is not the same as keeping secrets. Without KVM the machine is emulated."],
    ] as const
  ).flatMap(([id, claim, caveat]): Phrase[] => {
    const words = told[id];
    return words ? [[claim, words.claim], [caveat, words.caveat]] : [];
  }),
];
