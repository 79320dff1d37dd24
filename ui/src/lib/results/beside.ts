// Words for results side by side.

import type { Finding } from "../bindings/Finding";

export const FINDINGS: Record<Finding, string> = {
  larger: "larger",
  smaller: "smaller",
  equal: "no difference above 5 %",
  undecided: "not enough evidence",
  too_few: "not enough evidence: fewer than four trials",
};

/** Whether a finding says something: what is not enough stays soft. */
export function verdictTone(finding: Finding): "soft" | "clear" {
  return finding === "undecided" || finding === "too_few" ? "soft" : "clear";
}

const METRICS: Record<string, string> = {
  first_response: "time to the first answer",
  memory_host: "memory of this machine",
  image_bytes: "size of the image",
  instance_bytes: "disk added by the instance",
};

/** A metric id in words, as in the reports. */
export function metricWords(metric: string): string {
  const dot = metric.indexOf(".");
  if (dot < 0) return METRICS[metric] ?? metric.replaceAll("_", " ");
  return `${metric.slice(0, dot).replaceAll("_", " ")}: ${metric.slice(dot + 1).replaceAll("_s_", "'s ").replaceAll("_", " ")}`;
}
