// A run as the page knows it: one state, changed only by the program's events.
// Pure, so that it can be tested and replayed.

import type { Accelerator } from "../bindings/Accelerator";
import type { BackendKind } from "../bindings/BackendKind";
import type { Failure } from "../bindings/Failure";
import type { Ledger } from "../bindings/Ledger";
import type { OutcomeKind } from "../bindings/OutcomeKind";
import type { Parity } from "../bindings/Parity";
import type { ResultDocument } from "../bindings/ResultDocument";
import type { RunEvent } from "../bindings/RunEvent";
import type { TrialPhase } from "../bindings/TrialPhase";

/** Metric that the race is about. */
export const FIRST_RESPONSE = "first_response";

/** Lines of a step's log that are kept for reading. */
const LOG_LINES = 2000;

export type Stage = "idle" | "preparing" | "racing" | "finished" | "cancelled" | "failed";

/** One piece of work before the trials. */
export interface Step {
  name: string;
  message: string;
  log: string[];
  /** Lines that were dropped from the front of the log. */
  dropped: number;
  /** Page clock, milliseconds. */
  startedAt: number;
  endedAt: number | null;
}

/** Use of an instance at one moment after its launch was requested. */
export interface Use {
  /** Nanoseconds since the request. */
  at: number;
  /** Processors busy since the last sample. */
  cpus: number;
  /** Bytes. */
  memory: number;
}

/** The launch that runs now in a lane, or ran last. */
export interface Trial {
  index: number;
  warmup: boolean;
  /** Page clock, milliseconds: when the launch was requested. */
  startedAt: number;
  phases: TrialPhase[];
  firstResponse: number | null;
  outcome: OutcomeKind | null;
  reason: string | null;
}

export interface Kept {
  instance: string;
  name: string;
  url: string;
  /** It runs; it may be held still, stopped and started again by anybody. */
  up: boolean;
}

export interface Estimate {
  n: number;
  median: number;
  ci95: [number, number];
}

export interface LaneState {
  id: string;
  backend: BackendKind;
  accelerator: Accelerator | null;
  unavailable: string | null;
  trial: Trial | null;
  /** Trials that are over; launches that warm up or check do not count. */
  over: number;
  /** By metric. */
  estimates: Record<string, Estimate>;
  memory: Ledger | null;
  disk: Ledger | null;
  /** Of the last trial that has any. */
  samples: Use[];
  kept: Kept | null;
}

export interface RunState {
  stage: Stage;
  /** Page clock, milliseconds: when the run was asked for. */
  startedAt: number;
  steps: Step[];
  image: string | null;
  digest: string | null;
  substitute: string | null;
  trials: number;
  warmup: number;
  parity: Parity | null;
  lanes: LaneState[];
  warnings: string[];
  result: ResultDocument | null;
  error: Failure | null;
  cleaned: string[];
}

export function idle(): RunState {
  return {
    stage: "idle",
    startedAt: 0,
    steps: [],
    image: null,
    digest: null,
    substitute: null,
    trials: 0,
    warmup: 0,
    parity: null,
    lanes: [],
    warnings: [],
    result: null,
    error: null,
    cleaned: [],
  };
}

/** A run that was just asked for at `at` on the page's clock. */
export function begun(at: number): RunState {
  return { ...idle(), stage: "preparing", startedAt: at };
}

/** Takes `event`, which happened at `at` on the page's clock, into `run`. */
export function apply(run: RunState, event: RunEvent, at: number): void {
  switch (event.type) {
    case "preparing":
      return prepare(run, event.step, event.message, at);
    case "log":
      return log(run, event.step, event.line, at);
    case "planned":
      run.image = event.image;
      run.digest = event.digest;
      run.substitute = event.base_substituted;
      run.trials = event.trials;
      run.warmup = event.warmup;
      run.lanes = event.lanes.map((info) => ({
        ...fresh(info.lane),
        id: info.id,
        accelerator: info.accelerator,
        unavailable: info.unavailable,
      }));
      return;
    case "parity":
      run.parity = event.parity;
      return;
    case "trial_started":
      run.stage = "racing";
      endSteps(run, at);
      return inLane(run, event.lane, (lane) => {
        lane.trial = {
          index: event.index,
          warmup: event.warmup,
          startedAt: at,
          phases: [],
          firstResponse: null,
          outcome: null,
          reason: null,
        };
        lane.samples = [];
      });
    case "phase":
      return inTrial(run, event, (trial) => {
        trial.phases.push({ name: event.name, start_ns: event.start_ns, end_ns: event.end_ns });
      });
    case "sample":
      return inLane(run, event.lane, (lane) => {
        lane.samples.push({ at: event.at_ns, cpus: event.cpus, memory: event.memory });
      });
    case "first_response":
      return inTrial(run, event, (trial) => {
        trial.firstResponse = event.elapsed_ns;
      });
    case "ledgers":
      return inLane(run, event.lane, (lane) => {
        lane.memory = event.memory;
        lane.disk = event.disk;
      });
    case "trial_finished":
      inTrial(run, event, (trial) => {
        trial.outcome = event.outcome;
        trial.reason = event.reason;
      });
      return inLane(run, event.lane, (lane) => {
        if (lane.trial?.warmup === false) lane.over += 1;
      });
    case "estimate":
      return inLane(run, event.lane, (lane) => {
        lane.estimates[event.metric] = { n: event.n, median: event.median, ci95: event.ci95 };
      });
    case "kept":
      return inLane(run, event.lane, (lane) => {
        lane.kept = { instance: event.instance, name: event.name, url: event.url, up: true };
      });
    case "warning":
      if (!run.warnings.includes(event.message)) run.warnings.push(event.message);
      return;
    case "finished":
      run.stage = "finished";
      run.result = event.result;
      endSteps(run, at);
      for (const message of event.result.warnings) {
        if (!run.warnings.includes(message)) run.warnings.push(message);
      }
      for (const lane of run.lanes) conclude(lane, event.result);
      return;
    case "stopped":
      run.stage = event.error.code === "cancelled" ? "cancelled" : "failed";
      run.error = event.error;
      run.cleaned = event.cleaned;
      endSteps(run, at);
      return;
  }
}

/** Whether work is going on. */
export function isActive(run: RunState): boolean {
  return run.stage === "preparing" || run.stage === "racing";
}

/** The lane whose launch runs now, if any. */
export function racing(run: RunState): LaneState | null {
  if (run.stage !== "racing") return null;
  return run.lanes.find((lane) => lane.trial !== null && lane.trial.outcome === null) ?? null;
}

/** Trials that are over, and all of them. */
export function progress(run: RunState): { over: number; all: number } {
  const able = run.lanes.filter((lane) => lane.unavailable === null);
  return {
    over: able.reduce((sum, lane) => sum + lane.over, 0),
    all: able.length * run.trials,
  };
}

/** A lane of which nothing is known but its text. */
export function fresh(lane: string): LaneState {
  const word = lane.split(/[/@]/)[0];
  return {
    id: lane,
    backend: word === "vm" || word === "container" ? word : "process",
    accelerator: null,
    unavailable: null,
    trial: null,
    over: 0,
    estimates: {},
    memory: null,
    disk: null,
    samples: [],
    kept: null,
  };
}

/** What the result knows better than the events that led to it. */
function conclude(lane: LaneState, result: ResultDocument): void {
  for (const { lane: id, metric, n, median, ci95 } of result.summary) {
    if (id === lane.id) lane.estimates[metric] = { n, median, ci95 };
  }
  const report = result.lanes.find((one) => one.id === lane.id);
  if (report) lane.accelerator = report.accelerator;
}

function prepare(run: RunState, name: string, message: string, at: number): void {
  const last = run.steps.at(-1);
  if (last?.name === name && last.endedAt === null) {
    last.message = message;
    return;
  }
  endSteps(run, at);
  run.steps.push({ name, message, log: [], dropped: 0, startedAt: at, endedAt: null });
}

function log(run: RunState, name: string, line: string, at: number): void {
  let step = run.steps.findLast((one) => one.name === name);
  if (!step) {
    prepare(run, name, name, at);
    step = run.steps.at(-1);
  }
  if (!step) return;
  step.log.push(line);
  if (step.log.length > LOG_LINES) {
    step.dropped += step.log.length - LOG_LINES;
    step.log.splice(0, step.log.length - LOG_LINES);
  }
}

function endSteps(run: RunState, at: number): void {
  for (const step of run.steps) step.endedAt ??= at;
}

function inLane(run: RunState, id: string, change: (lane: LaneState) => void): void {
  const found = run.lanes.find((one) => one.id === id);
  if (found) change(found);
}

function inTrial(run: RunState, { lane, index }: { lane: string; index: number }, change: (trial: Trial) => void): void {
  inLane(run, lane, ({ trial }) => {
    if (trial?.index === index) change(trial);
  });
}
