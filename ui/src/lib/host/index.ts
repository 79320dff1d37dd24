// The page's way to the program. Everything else in the page talks to this
// interface; `tauri.ts` is the only file that knows the window's technique.

import type { Capability } from "../bindings/Capability";
import type { CheckOutcome } from "../bindings/CheckOutcome";
import type { Charts } from "../bindings/Charts";
import type { ChartView } from "../bindings/ChartView";
import type { CommandEnd } from "../bindings/CommandEnd";
import type { ExperimentRequest } from "../bindings/ExperimentRequest";
import type { Errand } from "../bindings/Errand";
import type { Failure } from "../bindings/Failure";
import type { FoundBundle } from "../bindings/FoundBundle";
import type { Frame } from "../bindings/Frame";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { BesideView } from "../bindings/BesideView";
import type { Beginning } from "../bindings/Beginning";
import type { Building } from "../bindings/Building";
import type { BundleReport } from "../bindings/BundleReport";
import type { BundleRequest } from "../bindings/BundleRequest";
import type { Bundling } from "../bindings/Bundling";
import type { ClassFormat } from "../bindings/ClassFormat";
import type { ClassView } from "../bindings/ClassView";
import type { ClassWish } from "../bindings/ClassWish";
import type { Database } from "../bindings/Database";
import type { DfReport } from "../bindings/DfReport";
import type { Description } from "../bindings/Description";
import type { GiftKind } from "../bindings/GiftKind";
import type { Given } from "../bindings/Given";
import type { Guide } from "../bindings/Guide";
import type { ImageDetail } from "../bindings/ImageDetail";
import type { ImageRow } from "../bindings/ImageRow";
import type { Language } from "../bindings/Language";
import type { LessonProgress } from "../bindings/LessonProgress";
import type { LessonRow } from "../bindings/LessonRow";
import type { LessonView } from "../bindings/LessonView";
import type { LogRow } from "../bindings/LogRow";
import type { Project } from "../bindings/Project";
import type { Pruned } from "../bindings/Pruned";
import type { Outside } from "../bindings/Outside";
import type { Pulling } from "../bindings/Pulling";
import type { QueryAnswer } from "../bindings/QueryAnswer";
import type { RemovedImage } from "../bindings/RemovedImage";
import type { Resources } from "../bindings/Resources";
import type { Restored } from "../bindings/Restored";
import type { ResultDocument } from "../bindings/ResultDocument";
import type { ResultFormat } from "../bindings/ResultFormat";
import type { ResultRow } from "../bindings/ResultRow";
import type { ResultView } from "../bindings/ResultView";
import type { RunEvent } from "../bindings/RunEvent";
import type { RunWish } from "../bindings/RunWish";
import type { SaidBy } from "../bindings/SaidBy";
import type { SnapshotRow } from "../bindings/SnapshotRow";
import type { Taken } from "../bindings/Taken";
import type { OpenedTerminal } from "../bindings/OpenedTerminal";
import type { TerminalEnd } from "../bindings/TerminalEnd";
import type { TerminalKind } from "../bindings/TerminalKind";
import type { TerminalSize } from "../bindings/TerminalSize";
import type { Theme } from "../bindings/Theme";
import type { UpdateMode } from "../bindings/UpdateMode";
import type { UpdateReport } from "../bindings/UpdateReport";
import type { Opening } from "../bindings/Opening";
import type { Spot } from "../bindings/Spot";
import type { SubjectInfo } from "../bindings/SubjectInfo";
import type { TextFault } from "../bindings/TextFault";

/** What long work tells, and its outcome, by its kind. */
export interface Errands {
  pull: { told: Pulling; outcome: null };
  build: { told: Building[]; outcome: string };
  experiment: { told: RunEvent[]; outcome: ResultDocument };
  lesson: { told: SaidBy[]; outcome: CommandEnd };
  gift: { told: string[]; outcome: Given };
  bundle: { told: Bundling; outcome: BundleReport };
}

export interface Host {
  /** What came with the page, so that its first frame need not ask; null when it was loaded again. */
  beginning(): Beginning | null;
  /** What the program found when it opened. */
  opening(): Promise<Opening>;
  /** What this machine can do; probing takes a while the first time. */
  doctor(): Promise<Capability[]>;
  /** What can be compared. */
  subjects(): Promise<SubjectInfo[]>;
  /** A comparison as it is set when nothing was changed. */
  defaults(subject: string): Promise<ExperimentRequest>;
  /** Starts a comparison; its events come through `watch`. */
  launch(request: ExperimentRequest, view: ChartView): Promise<void>;
  /**
   * Follows the comparison that runs or ran last, from its beginning, and
   * every later one. Resolves to its request, or null when there was none.
   */
  watch(onFrame: (frame: Frame) => void): Promise<ExperimentRequest | null>;
  /** Asks the comparison to stop and clean up. */
  cancel(): Promise<void>;
  /** The charts of the comparison that runs or ran last, drawn anew. */
  draw(view: ChartView): Promise<Charts>;
  /** Sends all instances now and whenever one changed, whoever changed it. */
  followInstances(onRows: (rows: InstanceRow[]) => void): Promise<void>;
  /** Starts an instance that exists. */
  start(name: string): Promise<void>;
  /** Stops an instance and leaves it there. */
  stop(name: string): Promise<void>;
  /** Stops an instance and removes it with its files, and with the volumes made for it alone. */
  discard(name: string, volumes?: boolean): Promise<void>;
  /** Opens a running instance's app in the browser. */
  open(name: string): Promise<void>;
  /** Stops an instance and starts it again. */
  restart(name: string): Promise<void>;
  /** Holds an instance still, or lets it go on. */
  pause(name: string, paused: boolean): Promise<void>;
  /** Changes limits; how, and what it cost. */
  update(name: string, resources: Resources, mode: UpdateMode): Promise<UpdateReport>;
  /** Follows a log until another one is followed or the instance ends. */
  followLog(name: string, onLines: (lines: LogRow[]) => void): Promise<void>;
  /** Opens a shell in an instance, or a machine's console. */
  openTerminal(name: string, kind: TerminalKind, size: TerminalSize): Promise<OpenedTerminal>;
  /** Hands a terminal's output over; its end. */
  followTerminal(id: number, onBytes: (bytes: Uint8Array) => void): Promise<TerminalEnd>;
  /** Types; resolves when it was taken. */
  typeInTerminal(id: number, text: string): Promise<void>;
  resizeTerminal(id: number, size: TerminalSize): Promise<void>;
  /** So many bytes of its output were drawn: as many more may come. */
  terminalTaken(id: number, bytes: number): Promise<void>;
  closeTerminal(id: number): Promise<void>;
  snapshots(name: string): Promise<SnapshotRow[]>;
  takeSnapshot(name: string, snapshot: string, memory: boolean): Promise<Taken>;
  /** Restores in place, or into a new instance. */
  restoreSnapshot(name: string, snapshot: string, into: string | null): Promise<Restored>;
  /** Writes an instance, or what belongs to it, to a new file. */
  give(name: string, kind: GiftKind, file: string, onNotes: (notes: string[]) => void): Promise<Given>;
  removeSnapshot(name: string, snapshot: string): Promise<void>;

  images(): Promise<ImageRow[]>;
  imageDetail(name: string): Promise<ImageDetail>;
  tagImage(from: string, to: string): Promise<void>;
  removeImage(name: string): Promise<RemovedImage>;
  pruneImages(): Promise<RemovedImage>;
  /** Fetches an image from its registry. */
  pull(name: string, onProgress: (progress: Pulling) => void): Promise<void>;
  /** Runs an image as it was filled in; the instance's name. */
  runImage(wish: RunWish): Promise<string>;
  /** Asks the pull, build, experiment, lesson's command, gift or bundle that goes on to stop and clean up. */
  cancelWork(kind: keyof Errands): Promise<void>;
  /** The long work that goes on, whichever page asked for it. */
  errands(): Promise<Errand[]>;
  /** Hears of it from its beginning, in the place of the page that asked; its outcome. */
  joinErrand<K extends keyof Errands>(kind: K, onTold: (told: Errands[K]["told"]) => void): Promise<Errands[K]["outcome"]>;

  /** Where an image of PostgreSQL keeps its data. */
  databaseFolder(image: string): Promise<string>;
  /** Where the PostgreSQL of an instance is reached. */
  database(name: string): Promise<Database>;
  /** Waits until it answers. */
  awaitDatabase(name: string): Promise<Database>;
  queryDatabase(name: string, query: string): Promise<QueryAnswer>;
  /** Makes an image of PostgreSQL from Debian's packages; its name. */
  makeDatabaseImage(onEvents: (events: Building[]) => void): Promise<string>;

  openProject(folder: string): Promise<Project>;
  newProject(sample: string, folder: string): Promise<Project>;
  /** Writes a file in which `before` stood; refused where it is not so any more. */
  saveProjectFile(folder: string, name: string, text: string, before: string): Promise<void>;
  /** The first line that the builder could not read. */
  checkDockerfile(name: string, text: string): Promise<TextFault | null>;
  /** Builds a project; the image's digest. */
  buildProject(folder: string, onEvents: (events: Building[]) => void): Promise<string>;

  results(): Promise<ResultRow[]>;
  viewResult(id: string, width: number, theme: Theme): Promise<ResultView>;
  /** Results side by side; ratios divide by the first. */
  viewBeside(ids: string[], metric: string | null, width: number, theme: Theme): Promise<BesideView>;
  /** Writes a result to a new file; the theme is that of a picture. */
  exportResult(id: string, format: ResultFormat, theme: Theme, file: string): Promise<void>;
  removeResult(id: string): Promise<void>;
  explainResult(id: string, text: string): Promise<ResultDocument>;
  importRecorded(): Promise<string[]>;
  experiments(): Promise<Description[]>;
  experimentDefaults(id: string): Promise<ExperimentRequest>;
  runExperiment(request: ExperimentRequest, onEvents: (events: RunEvent[]) => void): Promise<ResultDocument>;
  /** Goes on with a run that was stopped or killed. */
  resumeExperiment(id: string, onEvents: (events: RunEvent[]) => void): Promise<ResultDocument>;
  /** How many instances fit on this machine, by its own results. */
  fitGuide(subject: string, classSize: number): Promise<Guide>;

  /** The lessons, in a language where they have it. */
  lessons(language: Language): Promise<LessonRow[]>;
  lesson(id: string, language: Language): Promise<LessonView>;
  /** Runs a command of a run block. */
  runLessonCommand(id: string, spot: Spot, number: number, onLines: (lines: SaidBy[]) => void): Promise<CommandEnd>;
  checkLesson(id: string, spot: Spot): Promise<CheckOutcome>;
  answerLesson(id: string, spot: Spot, choice: number): Promise<LessonProgress>;
  /** Forgets what was done, and empties the lesson's folder. */
  resetLesson(id: string): Promise<LessonProgress>;
  /** Writes a worksheet to a new file. */
  exportLesson(id: string, language: Language, answers: boolean, file: string): Promise<void>;
  /** Opens a link that stands in the lesson. */
  openLessonLink(id: string, url: string): Promise<void>;

  /** A class's results, which stay where they are. */
  viewClass(wish: ClassWish, width: number, theme: Theme): Promise<ClassView>;
  /** Writes them to a new file. */
  exportClass(wish: ClassWish, format: ClassFormat, file: string): Promise<void>;
  /** Makes a bundle for a class as a new file. */
  createBundle(request: BundleRequest, file: string, onProgress: (progress: Bundling) => void): Promise<BundleReport>;
  /** Bundles on sticks and among the downloads. */
  foundBundles(): Promise<FoundBundle[]>;
  /** Takes a bundle over. */
  openBundle(file: string, onProgress: (progress: Bundling) => void): Promise<BundleReport>;

  /** The folder that holds everything. */
  dataFolder(): Promise<string>;
  diskUse(): Promise<DfReport>;
  /** What registries, proxies, certificates and logins are set from outside. */
  outside(): Promise<Outside>;
  prune(): Promise<Pruned>;
  /** Signs in to a registry; where the password is kept. */
  login(registry: string, name: string, secret: string): Promise<string>;
  logout(registry: string): Promise<void>;
}

/** Why work failed; null when it was done. */
export async function failureOf(work: () => Promise<unknown>): Promise<Failure | null> {
  try {
    await work();
    return null;
  } catch (thrown) {
    return toFailure(thrown);
  }
}

/** Anything thrown on the way to the program, as a failure to show. */
export function toFailure(thrown: unknown): Failure {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "message" in thrown) {
    return thrown as Failure;
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "internal", message };
}
