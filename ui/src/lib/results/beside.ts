// Words for results side by side.

import type { Finding } from "../bindings/Finding";
import { known, say } from "../messages";

/** Whether a finding says something: what is not enough stays soft. */
export function verdictTone(finding: Finding): "soft" | "clear" {
  return finding === "undecided" || finding === "too_few" ? "soft" : "clear";
}

/** A metric id in words, as in the reports. */
export function metricWords(metric: string): string {
  const dot = metric.indexOf(".");
  if (dot < 0) return known(say.results.metrics, metric) ?? metric.replaceAll("_", " ");
  return `${metric.slice(0, dot).replaceAll("_", " ")}: ${metric.slice(dot + 1).replaceAll("_s_", "'s ").replaceAll("_", " ")}`;
}
