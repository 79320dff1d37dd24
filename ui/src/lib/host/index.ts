// The page's way to the program. Everything else in the page talks to this
// interface; `tauri.ts` is the only file that knows the window's technique.

import type { Capability } from "../bindings/Capability";
import type { Charts } from "../bindings/Charts";
import type { ChartView } from "../bindings/ChartView";
import type { CompareRequest } from "../bindings/CompareRequest";
import type { Failure } from "../bindings/Failure";
import type { Frame } from "../bindings/Frame";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Opening } from "../bindings/Opening";
import type { SubjectInfo } from "../bindings/SubjectInfo";

export interface Host {
  /** What the program found when it opened. */
  opening(): Promise<Opening>;
  /** What this machine can do; probing takes a while the first time. */
  doctor(): Promise<Capability[]>;
  /** What can be compared. */
  subjects(): Promise<SubjectInfo[]>;
  /** A comparison as it is set when nothing was changed. */
  defaults(subject: string): Promise<CompareRequest>;
  /** The same comparison as a command to type. */
  commandFor(request: CompareRequest): Promise<string>;
  /** Starts a comparison; its events come through `watch`. */
  launch(request: CompareRequest, view: ChartView): Promise<void>;
  /**
   * Follows the comparison that runs or ran last, from its beginning, and
   * every later one. Resolves to its request, or null when there was none.
   */
  watch(onFrame: (frame: Frame) => void): Promise<CompareRequest | null>;
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
  /** Stops an instance and removes it with its files. */
  discard(name: string): Promise<void>;
  /** Opens a running instance's app in the browser. */
  open(name: string): Promise<void>;
}

/** Anything thrown on the way to the program, as a failure to show. */
export function toFailure(thrown: unknown): Failure {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "message" in thrown) {
    return thrown as Failure;
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "internal", message };
}
