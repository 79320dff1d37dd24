// The run's state in one line, for the eye and for screen readers. Pure.

import { say } from "../messages";
import { said } from "../messages/said.svelte";
import { laneName } from "./lane";
import { progress, racing, type RunState } from "./run";

export function statusText(run: RunState): string {
  switch (run.stage) {
    case "idle":
      return say.lab.ready;
    case "preparing": {
      const now = run.steps.at(-1)?.message;
      return say.lab.preparing(now === undefined ? null : said(now));
    }
    case "racing": {
      const { over, all } = progress(run);
      const lane = racing(run);
      if (!lane) return say.lab.racing(over, all);
      return lane.trial?.warmup ? say.lab.warmingUp(laneName(lane)) : say.lab.racingLane(over + 1, all, laneName(lane));
    }
    case "finished":
      return finished(run);
    case "cancelled":
      return run.cleaned.length > 0 ? say.lab.cancelled(say.common.listed(run.cleaned)) : say.lab.cancelledClean;
    case "failed":
      return say.lab.failed;
  }
}

function finished(run: RunState): string {
  const [running, all] = [run.lanes.filter((lane) => lane.kept?.up).length, run.lanes.length];
  return running === 0 ? say.lab.done : say.lab.doneRunning(running, all);
}
