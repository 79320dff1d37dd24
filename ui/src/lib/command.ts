// What the window does, as commands to type.

import type { ExperimentRequest } from "./bindings/ExperimentRequest";
import type { RunWish } from "./bindings/RunWish";

/** A word as a POSIX shell reads it back; the person's home stays `~/`. */
export function quote(word: string): string {
  if (word.startsWith("~/") && word.length > 2) return `~/${quote(word.slice(2))}`;
  return /^[\w\-./:@=,+%]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** `tandem` with these words. */
export function command(...words: string[]): string {
  return ["tandem", ...words.map(quote)].join(" ");
}

/** A run as it was filled in. */
export function runCommand(wish: RunWish): string {
  const words = ["run", "-d"];
  const each = (flag: string, values: string[]) => {
    for (const value of values.map((one) => one.trim())) if (value) words.push(flag, value);
  };
  if (wish.backend !== "container") words.push("--backend", wish.backend);
  each("--name", [wish.name]);
  each("-p", wish.ports);
  each("-e", wish.env);
  each("-v", wish.volumes);
  each("--memory", [wish.memory]);
  each("--cpus", [wish.cpus]);
  return command(...words, wish.image);
}

const STANDS_IN = /^(\S+) stands in for (\S+)$/;

/** The build of a folder, on the bases that stood in for others by its notices. */
export function buildCommand(tag: string, folder: string, notices: readonly string[] = []): string {
  const words = ["build", "-t", tag];
  for (const notice of notices) {
    const [, made, base] = STANDS_IN.exec(notice) ?? [];
    if (made && base) words.push("--build-context", `${base}=docker-image://${made}`);
  }
  return command(...words, folder);
}

/** A comparison as it is set; what stands as it `usually` does is left out. */
export function compareCommand(request: ExperimentRequest, usually: ExperimentRequest): string {
  const { lanes, warmup, seed, resources, port, time_limit_s: limit } = request;
  const words = ["compare", request.subject];
  if (lanes.join() !== usually.lanes.join()) words.push("--lanes", lanes.join(","));
  // A number field that is empty or half typed holds none.
  if (Number.isInteger(request.trials)) words.push("--trials", String(request.trials));
  if (warmup !== usually.warmup && Number.isInteger(warmup)) words.push("--warmup", String(warmup));
  if (seed !== null) words.push("--seed", String(seed));
  const { memory_bytes: bytes, milli_cpus: milli } = resources;
  if (bytes !== null && bytes !== usually.resources.memory_bytes) words.push("--memory", `${Math.floor(bytes / 2 ** 20)}m`);
  if (milli !== null && milli !== usually.resources.milli_cpus) words.push("--cpus", String(milli / 1000));
  if (port !== null) words.push("--port", String(port));
  if (limit !== usually.time_limit_s) words.push("--time-limit", String(limit));
  if (request.keep) words.push("--keep");
  return command(...words);
}

/** An experiment as it is set; `lanes` as they are written. */
export function experimentCommand(request: ExperimentRequest): string {
  const words = ["experiment", "run", request.experiment, "--subject", request.subject];
  const trials = Number.isInteger(request.trials) ? ["--trials", String(request.trials)] : [];
  return command(...words, "--lanes", request.lanes.join(","), ...trials, ...(request.prediction ? ["--predict", request.prediction] : []));
}
