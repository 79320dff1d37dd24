// The run's state in one line, for the eye and for screen readers. Pure.

import { laneName } from "./lane";
import { progress, racing, type RunState } from "./run";

export function statusText(run: RunState): string {
  switch (run.stage) {
    case "idle":
      return "Ready";
    case "preparing":
      return `Preparing: ${run.steps.at(-1)?.message ?? "starting"}`;
    case "racing": {
      const { over, all } = progress(run);
      const lane = racing(run);
      if (!lane) return `Racing: ${over} of ${all} trials done`;
      return lane.trial?.warmup ? `Warming up and checking: ${laneName(lane)}` : `Racing: trial ${over + 1} of ${all}, ${laneName(lane)}`;
    }
    case "finished":
      return finished(run);
    case "cancelled":
      return run.cleaned.length > 0 ? `Cancelled; cleaned up ${run.cleaned.join("; ")}` : "Cancelled; nothing was left to clean up";
    case "failed":
      return "Stopped by an error";
  }
}

function finished(run: RunState): string {
  const [running, all] = [run.lanes.filter((lane) => lane.kept).length, run.lanes.length];
  if (running === 0) return "Done";
  const which = running < all ? `${running} of ${all}` : all === 2 ? "both" : "all";
  return `Done; ${which} still running`;
}
