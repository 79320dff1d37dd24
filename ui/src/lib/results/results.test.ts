import { mount, tick, unmount } from "svelte";
import { afterEach, describe, expect, it } from "vitest";
import type { ResultFormat } from "../bindings/ResultFormat";
import type { Host } from "../host";
import { Results } from "./results.svelte";
import ResultsPage from "./ResultsPage.svelte";

const ROW = { id: "r1", experiment: "startup", subject: "app", started_at: "2026-01-01T00:00:00Z", finished_at: "2026-01-01T00:01:00Z", stopped: null, origin: null, trials: 1 };
const VIEW = { document: null, charts: [], trials: [], why: "", command: null };

let written: unknown[][] = [];
const host = {
  results: () => Promise.resolve([ROW]),
  viewResult: () => Promise.resolve(VIEW),
  exportResult: (...all: unknown[]) => Promise.resolve(void written.push(all)),
} as unknown as Host;

let view: Record<string, unknown> | undefined;

async function opened(): Promise<Results> {
  written = [];
  const results = new Results(host, () => false);
  await results.refresh();
  await results.choose("r1");
  view = mount(ResultsPage, { target: document.body, props: { results } });
  await tick();
  return results;
}

afterEach(() => {
  if (view) void unmount(view);
});

describe("exporting a result", () => {
  it("offers pixels and pages beside the others", async () => {
    await opened();
    const options = [...document.querySelectorAll<HTMLOptionElement>("#export-format option")];
    const all: ResultFormat[] = ["html", "pdf", "png", "svg", "json", "csv", "markdown"];
    expect(options.map((option) => option.value)).toEqual(all);
  });

  it("asks for the ground of pictures only", async () => {
    const results = await opened();
    const dark = () => document.querySelector<HTMLInputElement>("[data-testid=export-dark]");
    expect(dark()).toBeNull();
    results.format = "png";
    await tick();
    dark()?.click();
    results.file = "/tmp/out.png";
    expect(results.command).toBe("tandem result export r1 --format png --dark -o /tmp/out.png");
    await results.save();
    expect(written).toEqual([["r1", "png", "dark", "/tmp/out.png"]]);
    results.format = "markdown";
    results.file = "/tmp/out.md";
    await tick();
    expect(dark()).toBeNull();
    expect(results.command).toBe("tandem result export r1 --format md -o /tmp/out.md");
  });

  it("says how the new file ends", async () => {
    const results = await opened();
    results.format = "pdf";
    await tick();
    expect(document.querySelector<HTMLInputElement>("#export-file")?.placeholder).toBe("/home/me/result.pdf");
  });
});
