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

/** An experiment as it is set; `lanes` as they are written. */
export function experimentCommand(request: ExperimentRequest): string {
  const words = ["experiment", "run", request.experiment, "--subject", request.subject];
  return command(...words, "--lanes", request.lanes.join(","), "--trials", String(request.trials), ...(request.prediction ? ["--predict", request.prediction] : []));
}
