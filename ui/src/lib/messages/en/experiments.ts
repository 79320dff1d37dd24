import type { Description } from "../../bindings/Description";
import { plural } from "../plural";

const n = plural("en");

/** What an experiment says of itself. */
export type Told = Pick<Description, "question" | "claim" | "method" | "caveat" | "explanation" | "prediction">;

export const experiments = {
  title: "Experiments",
  about: "Each puts one claim about containers and virtual machines to the test, on this machine.",
  claim: "The claim:",
  cannotRun: (why: string) => `It cannot run: ${why}.`,
  prediction: "Your prediction.",
  subject: "Subject",
  trialsEach: "Trials a lane",
  trialsDone: (over: number, all: number | null) => `${over}${all === null ? "" : ` of ${all}`} trials done`,
  trials: "Trials",
  whatAndHow: "What is measured, and how often",
  otherRuns: (id: string) => `The experiment ${id} runs: two at once would disturb each other.`,
  why: "Why",
  history: "Earlier runs",
  earlier: (subject: string, trials: number) => `${subject} · ${n(trials, `${trials} trial`, `${trials} trials`)}`,
  running: "running",
  missing: "Not in this version",
  quoted: (claim: string) => `“${claim}”`,
  starting: "Starting",
  trialNow: (lane: string, at: number) => `${lane}, trial ${at}`,
  warmupNow: (lane: string) => `${lane}, warm-up`,
  outcomes: { measured: "measured", unavailable: "unavailable", failed: "failed" },
  /** By id, where this language has its own words; else the program's. */
  told: {} as Readonly<Record<string, Told>>,
};
