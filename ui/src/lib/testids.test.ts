// The hooks for tests that others rely on (GUI.md): each is in the page, and
// what is inside a lane is inside a lane's card.

import { describe, expect, it } from "vitest";
import { laneKey } from "./lab/lane";
import { PAGES } from "./shell/shell.svelte";

const SOURCES: Record<string, string> = import.meta.glob("./**/*.svelte", { query: "?raw", import: "default", eager: true });

/** Names as they stand in the sources, by the file that they stand in. */
const NAMES = Object.entries(SOURCES).flatMap(([file, text]) => [...text.matchAll(/(?:data-)?testid="([^"]+)"/g)].map((found) => [found[1] ?? "", file] as const));

const WHOLE = [
  "lab-subject", "lab-launch", "lab-cancel", "lab-status", "lab-race-chart", "lab-cpu-chart", "lab-memory-chart", "lab-verdict",
  "cli-equivalent", "experiment-run", "experiment-verdict", "error-banner",
];
const IN_LANE = ["lane-phase-{phase.name}", "lane-first-response", "lane-open", "lane-state"];
/** Those that end in what they are of. */
const OF = ["nav-{page}", "experiment-card-{one.id}", "doctor-item-{item.id}", "instance-row-{row.name}", "image-row-{row.name}"];

describe("the hooks for tests", () => {
  it("are all there", () => {
    expect(NAMES.length).toBeGreaterThan(150);
    const names = new Set(NAMES.map(([name]) => name));
    expect([...WHOLE, ...OF].filter((name) => !names.has(name))).toEqual([]);
    // The first chart of what came out.
    expect(SOURCES["./results/ResultDetail.svelte"]?.includes('"experiment-chart"')).toBe(true);
    expect(PAGES.map((page) => `nav-${page}`)).toEqual(["nav-lab", "nav-workbench", "nav-images", "nav-experiments", "nav-lessons", "nav-results", "nav-doctor", "nav-settings"]);
  });

  it("stand inside a lane's card where they are a lane's", () => {
    for (const name of IN_LANE) expect(NAMES.filter(([one]) => one === name).map(([, file]) => file), name).toEqual(["./lab/LaneCard.svelte"]);
    expect(NAMES).toContainEqual(["lane-{laneKey(lane)}", "./lab/LaneCard.svelte"]);
    expect([["container", "container"], ["vm", "vm"], ["vm/micro@tcg", "vm"]].map(([id, backend]) => laneKey({ id: id ?? "", backend: backend ?? "" }))).toEqual(["container", "vm", "vm"]);
  });
});
