// The columns of a result's raw trials.

import type { ResultView } from "../bindings/ResultView";
import type { Unit } from "../bindings/Unit";

/** Every metric of any trial: those that are summed up first, in their order. */
export function metricsOf(view: ResultView): string[] {
  const first = (view.document?.summary ?? []).map((one) => one.metric);
  const all = view.trials.flatMap((trial) => Object.keys(trial.metrics)).sort();
  return [...new Set([...first, ...all])].filter((metric) => all.includes(metric));
}

/** A metric's unit, as it is summed up. */
export function unitOf(view: ResultView, metric: string): Unit {
  const known = view.document?.summary.find((one) => one.metric === metric)?.unit;
  if (known) return known;
  if (/bytes|memory|disk_|marginal_|_ledger/.test(metric)) return "bytes";
  return /^phase\.|response|latency|_time$|_lag$|_gap$|_downtime$|_pause$|_cpu$/.test(metric) ? "ns" : "count";
}
