// A build as it goes. Pure.

import type { Building } from "../bindings/Building";

/** An instruction of a build as it goes. */
export interface BuildStep {
  index: number;
  total: number;
  instruction: string;
  line: number;
  state: "running" | "cached" | "done";
  elapsedNs: number | null;
  bytes: number;
  output: string[];
}

export interface Build {
  steps: BuildStep[];
  notices: string[];
  state: "running" | "done" | "failed" | "cancelled";
  digest: string | null;
}

/** Lines of a step that are kept. */
const STEP_LINES = 2000;

export function begun(): Build {
  return { steps: [], notices: [], state: "running", digest: null };
}

/** Takes what happened into a build. */
export function take(build: Build, events: readonly Building[]): void {
  for (const event of events) {
    if (event.type === "notice") {
      if (!build.notices.includes(event.text)) build.notices.push(event.text);
      continue;
    }
    if (event.type === "step") {
      // A build begins anew on a base that stands in.
      if (build.steps.some((step) => step.index === event.index)) build.steps = [];
      build.steps.push({ ...event, state: "running", elapsedNs: null, bytes: 0, output: [] });
      continue;
    }
    const step = build.steps.findLast((one) => one.index === event.index);
    if (!step) continue;
    if (event.type === "cached") step.state = "cached";
    else if (event.type === "output") {
      step.output.push(plainText(event.text));
      if (step.output.length > STEP_LINES) step.output.splice(0, step.output.length - STEP_LINES);
    } else Object.assign(step, { state: step.state === "cached" ? "cached" : "done", elapsedNs: event.elapsed_ns, bytes: event.bytes });
  }
}

/** A line without the codes that colour it in a terminal (ECMA-48, 5.4). */
export function plainText(line: string): string {
  return line.replace(/\u001b\[[0-?]*[ -/]*[@-~]/g, "");
}
