import type { Scarce } from "../../bindings/Scarce";

export const fit = {
  title: "What fits on this machine",
  about: "Reckoned from what was measured here, with the upper end of each interval: how many run at a time, and what a class needs.",
  subject: "Subject",
  classSize: "Members of the class",
  reckon: "Reckon",
  reckoning: "Reckoning…",
  room: (memory: string, disk: string, cores: string) => `Free now: ${memory} of memory, ${disk} of disk, ${cores}.`,
  lane: "Lane",
  fits: "Fit",
  binding: "First runs out",
  takes: "Each takes",
  classOf: (count: number) => `A class of ${count}`,
  scarce: { memory: "memory", disk: "disk", processors: "processors" } satisfies Record<Scarce, string>,
  each: (amount: string, what: string) => `${amount} ${what}`,
  enough: "fits",
  tooMuch: "does not fit",
  leftOut: (why: string) => `Left out: ${why}`,
};
