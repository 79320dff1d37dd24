import { mount, tick, unmount } from "svelte";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ResultFormat } from "../bindings/ResultFormat";
import type { BesideView } from "../bindings/BesideView";
import type { Description } from "../bindings/Description";
import { Experiments } from "../experiments/experiments.svelte";
import type { Host } from "../host";
import { shown } from "../messages/language.svelte";
import { fetchSaid } from "../messages/said.svelte";
import { isOpen, Results } from "./results.svelte";
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
  view = undefined;
});

it("draws what is shown anew for another theme", async () => {
  let dark = false;
  const viewResult = vi.fn().mockResolvedValue(VIEW);
  const viewBeside = vi.fn().mockResolvedValue({ metric: "m", charts: [], beside: { runs: [], rows: [] } });
  const results = new Results({ ...host, results: () => Promise.resolve([ROW, { ...ROW, id: "r2" }]), viewResult, viewBeside } as unknown as Host, () => dark);
  await results.refresh();
  await results.redraw();
  expect(viewResult).not.toHaveBeenCalled();
  await results.choose("r1");
  dark = true;
  await results.redraw();
  expect(viewResult.mock.calls.map((call) => call[2])).toEqual(["light", "dark"]);
  await results.choose(null);
  results.pick("r1", true);
  results.pick("r2", true);
  await results.compare("m");
  dark = false;
  await results.redraw();
  expect(viewBeside.mock.calls.map((call) => [call[1], call[3]])).toEqual([["m", "dark"], ["m", "light"]]);
});

it("says of each ratio what ran and how many trials stand behind it", async () => {
  const estimate = (lane: string, n: number) => ({ lane, metric: "first_response", unit: "ns", n, median: 1, ci95: [1, 1] });
  const comparison = { metric: "first_response", a: "container", b: "vm/micro", ratio: 24.4, ci95: [20, 30] };
  const document_ = { id: "r1", verdicts: [], comparisons: [comparison], warnings: [], predictions: [], summary: [estimate("container", 6), estimate("vm/micro", 5)], lanes: [{ id: "container", accelerator: null }, { id: "vm/micro", accelerator: "tcg" }] };
  const results = new Results({ ...host, viewResult: () => Promise.resolve({ ...VIEW, document: document_ }) } as unknown as Host, () => false);
  await results.refresh();
  await results.choose("r1");
  view = mount(ResultsPage, { target: document.body, props: { results } });
  await tick();
  const cells = [...document.querySelectorAll("section.sideways td")].map((cell) => cell.textContent);
  expect(cells).toEqual(["vm/micro, tcg ÷ container", "24.4", "20.0–30.0", "5 ÷ 6"]);
});

it("keeps an explanation that was typed and not kept yet while another page is looked at", async () => {
  const document_ = { id: "r1", verdicts: [], comparisons: [], warnings: [], summary: [], predictions: [] };
  let kept = "";
  const viewResult = () => Promise.resolve({ ...VIEW, document: { ...document_, predictions: kept ? [{ question: "", expected: "", explanation: kept }] : [] } });
  const explainResult = (_: string, text: string) => Promise.resolve({ ...document_, predictions: [{ question: "", expected: "", explanation: (kept = text) }] });
  const results = new Results({ ...host, viewResult, explainResult } as unknown as Host, () => false);
  await results.refresh();
  await results.choose("r1");
  const field = () => document.querySelector<HTMLTextAreaElement>("[data-testid=result-explanation]");
  const open = async () => {
    view = mount(ResultsPage, { target: document.body, props: { results } });
    await tick();
  };
  await open();
  field()!.value = "It boots a kernel";
  field()!.dispatchEvent(new Event("input", { bubbles: true }));
  await tick();
  await unmount(view!);
  await open();
  expect(field()?.value).toBe("It boots a kernel");
  document.querySelector<HTMLElement>("[data-testid=result-explain]")?.click();
  await vi.waitFor(() => expect((document.querySelector("[data-testid=result-explain]") as HTMLButtonElement).disabled).toBe(true));
  expect(kept).toBe("It boots a kernel");
  await unmount(view!);
  await open();
  expect(field()?.value).toBe("It boots a kernel");
});

it("shows the comparison that was asked for last", async () => {
  const late: ((view: unknown) => void)[] = [];
  const viewBeside = () => new Promise((resolve) => late.push(resolve));
  const results = new Results({ ...host, results: () => Promise.resolve([ROW, { ...ROW, id: "r2" }]), viewBeside } as unknown as Host, () => false);
  await results.refresh();
  results.pick("r1", true);
  results.pick("r2", true);
  const both = [results.compare("a"), results.compare("b")];
  late[1]?.({ metric: "b", charts: [], beside: { runs: [], rows: [] } });
  late[0]?.({ metric: "a", charts: [], beside: { runs: [], rows: [] } });
  await Promise.all(both);
  expect([results.beside?.metric, results.comparing]).toEqual(["b", true]);
});

it("removes a result when that was asked for twice", async () => {
  const removeResult = vi.fn().mockResolvedValue(undefined);
  const results = new Results({ ...host, removeResult } as unknown as Host, () => false);
  await results.refresh();
  await results.choose("r1");
  view = mount(ResultsPage, { target: document.body, props: { results } });
  await tick();
  const button = () => document.querySelector<HTMLButtonElement>("[data-testid=result-remove]");
  button()?.click();
  await tick();
  expect([removeResult.mock.calls.length, button()?.textContent]).toEqual([0, "Remove its trials for good"]);
  expect(results.command).toBe("tandem result rm r1");
  button()?.dispatchEvent(new FocusEvent("blur"));
  await tick();
  expect(button()?.textContent).toBe("Remove");
  button()?.click();
  button()?.click();
  await vi.waitFor(() => expect(removeResult).toHaveBeenCalledExactlyOnceWith("r1"));
});

describe("what fits on this machine", () => {
  it("is shown by lane, with the command, and says what to measure when there is too little", async () => {
    const lane = { lane: "vm/micro", backend: "vm", accelerator: "tcg", fits: 7, binding: "memory", bounds: [{ what: "memory", each: 3 * 2 ** 20, n: 4, fits: 7 }], first_response_ns: 1, class: { count: 12, fits: false, memory_bytes: 2 ** 30, disk_bytes: null, start_ns: 2e9 } };
    const guide = { subject: "app", room: { fingerprint: "f", memory_bytes: 2 ** 30, disk_bytes: 2 ** 31, cores: 2 }, lanes: [lane], left_out: [], advice: ["<b>Choose</b>"], results: [] };
    let answer: Promise<unknown> = Promise.resolve(guide);
    const results = new Results({ ...host, fitGuide: () => answer } as unknown as Host, () => false);
    await results.refresh();
    view = mount(ResultsPage, { target: document.body, props: { results } });
    await tick();
    results.fit.classSize = 12;
    await results.fit.reckon();
    await tick();
    const shown = document.querySelector("[data-testid=fit-guide]")?.textContent ?? "";
    for (const words of ["vm/micro (tcg)", "7", "3.0\u00a0MiB memory", "does not fit", "A class of 12", "<b>Choose</b>"]) expect(shown).toContain(words);
    expect(results.command).toBe("tandem guide --subject hello-flask --class 12");
    answer = Promise.reject({ code: "usage", message: "measure density first" });
    await results.fit.reckon();
    await tick();
    expect(document.querySelector("[data-testid=fit-guide]")?.textContent).toContain("measure density first");
    expect(results.command).toBe("tandem result ls");
  });
});

describe("a run without an end", () => {
  it("can be gone on with, and others cannot", async () => {
    const asked: string[] = [];
    const rows = [{ ...ROW, stopped: "the run was cancelled" }, { ...ROW, id: "r2", finished_at: null }, { ...ROW, id: "r3" }, { ...ROW, id: "r4", stopped: "no", origin: "a file" }];
    expect(rows.map(isOpen)).toEqual([true, true, false, false]);
    const results = new Results({ ...host, results: () => Promise.resolve(rows) } as unknown as Host, () => false);
    await results.refresh();
    await results.choose("r1");
    view = mount(ResultsPage, { target: document.body, props: { results, onResume: (row) => asked.push(row.id) } });
    await tick();
    document.querySelector<HTMLButtonElement>("[data-testid=result-resume]")?.click();
    expect(asked).toEqual(["r1"]);
    await results.choose("r3");
    await tick();
    expect(document.querySelector("[data-testid=result-resume]")).toBeNull();
  });

  it("is not called finished because it has an end", async () => {
    const rows = [{ ...ROW, stopped: "the run was cancelled" }, { ...ROW, id: "r2", finished_at: null }, { ...ROW, id: "r3" }, { ...ROW, id: "r4", origin: "recorded" }];
    const results = new Results({ ...host, results: () => Promise.resolve(rows) } as unknown as Host, () => false);
    await results.refresh();
    view = mount(ResultsPage, { target: document.body, props: { results } });
    await tick();
    const states = () => rows.map((row) => document.querySelector(`[data-testid=result-row-${row.id}] td:last-child`)?.textContent);
    expect(states()).toEqual(["the run was cancelled", "not finished", "finished", "recorded"]);
    await fetchSaid();
    shown.language = "de";
    await tick();
    expect(states()).toEqual(["der Lauf wurde abgebrochen", "nicht fertig", "fertig", "aufgezeichnet"]);
    shown.language = "en";
  });

  it("is looked at again when it has ended, and not otherwise", async () => {
    let row: object = { ...ROW, finished_at: null };
    const viewResult = vi.fn(() => Promise.resolve(VIEW));
    const results = new Results({ ...host, results: () => Promise.resolve([row]), viewResult } as unknown as Host, () => false);
    await results.refresh();
    await results.choose("r1");
    await results.refresh();
    expect(viewResult).toHaveBeenCalledTimes(1);
    row = ROW;
    await results.refresh();
    expect(viewResult).toHaveBeenCalledTimes(2);
  });

  it("goes on as its experiment", async () => {
    let said = "";
    const resumeExperiment = vi.fn(() => {
      said = experiments.command;
      return Promise.resolve({ id: "r1" });
    });
    const startup = { id: "startup", question: "?" } as Description;
    const experiments: Experiments = new Experiments({ ...host, experiments: () => Promise.resolve([startup]), experimentDefaults: () => Promise.resolve(null), resumeExperiment } as unknown as Host, () => false);
    await experiments.resume("r1", "startup");
    expect(said).toBe("tandem experiment resume r1");
    expect(resumeExperiment).toHaveBeenCalledWith("r1", expect.any(Function));
    expect(experiments.open?.id).toBe("startup");
    expect(experiments.views.startup).toEqual(VIEW);
    expect(experiments.running).toBeNull();
  });
});

describe("exporting a result", () => {
  it("offers pixels and pages beside the others", async () => {
    await opened();
    const options = [...document.querySelectorAll<HTMLOptionElement>("#export-format option")];
    const all: ResultFormat[] = ["html", "pdf", "png", "svg", "json", "csv", "markdown"];
    expect(options.map((option) => option.value)).toEqual(all);
  });

  it("writes one file however often it is asked, and keeps the next name", async () => {
    const results = await opened();
    let end: () => void = () => {};
    const exportResult = vi.fn(() => new Promise<void>((resolve) => (end = resolve)));
    Object.assign(host, { exportResult });
    results.file = "/tmp/a.pdf";
    const first = results.save();
    await tick();
    expect((document.querySelector("[data-testid=export-start]") as HTMLButtonElement).textContent).toBe("Writing…");
    await results.save();
    results.file = "/tmp/b.pdf";
    end();
    await first;
    expect([exportResult.mock.calls.length, results.file, results.writing]).toEqual([1, "/tmp/b.pdf", false]);
    Object.assign(host, { exportResult: (...all: unknown[]) => Promise.resolve(void written.push(all)) });
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

const run = (id: string, more: object = {}) => ({
  id,
  experiment: "startup",
  started_at: "2026-01-01T00:00:00Z",
  subject: { name: "app", image: "app:latest", digest: `sha256:${"0".repeat(64)}`, base_substituted: false },
  machine: { fingerprint: id, cpu: "<b>cpu</b>", cores: 2, memory_bytes: 2 ** 30, kernel: "6.1", os: "Debian", cgroup: "v2", virtualised: null },
  design: { trials: 10, warmup: 1, seed: 1, order: [], cache: "warm" },
  lanes: [{ id: "container", backend: "container", profile: null, engine: "Tandem 1", accelerator: null, resources: {}, parity: { fair: true, differences: [] } }],
  apart: null,
  differs: [],
  ...more,
});
const estimate = (median: number) => ({ unit: "ns", n: 10, median, ci95: [median * 0.9, median * 1.1] });
const BESIDE = {
  metric: "first_response",
  charts: [],
  beside: {
    runs: [run("aaaaaaaaaa"), run("bbbbbbbbbb", { differs: ["kernel: 6.1 and 6.2"] })],
    rows: [
      { lane: "container", metric: "first_response", main: true, cells: [{ estimate: estimate(4e8), against: null }, { estimate: estimate(8e8), against: { type: "ratio", ratio: 2, ci95: [1.9, 2.1], finding: "undecided" } }] },
      { lane: "vm/micro", metric: "first_response", main: true, cells: [{ estimate: estimate(9e9), against: null }, { estimate: estimate(1e9), against: { type: "apart", why: "the accelerators differ, tcg and kvm" } }] },
      { lane: "container", metric: "phase.app", main: false, cells: [{ estimate: null, against: null }, { estimate: null, against: { type: "apart", why: "the first result did not measure it" } }] },
    ],
  },
} as unknown as BesideView;

describe("comparing results", () => {
  it("shows both medians, a ratio where it may stand and the reason elsewhere", async () => {
    const asked: unknown[][] = [];
    const rows = [ROW, { ...ROW, id: "r2" }, { ...ROW, id: "r3", finished_at: null }];
    const more = { ...host, results: () => Promise.resolve(rows), viewBeside: (...all: unknown[]) => (asked.push(all), Promise.resolve(BESIDE)) } as unknown as Host;
    const results = new Results(more, () => true);
    await results.refresh();
    view = mount(ResultsPage, { target: document.body, props: { results } });
    await tick();
    const at = (id: string) => document.querySelector<HTMLElement>(`[data-testid=${id}]`);
    expect((at("results-compare") as HTMLButtonElement).disabled).toBe(true);
    expect((at("result-pick-r3") as HTMLInputElement).disabled).toBe(true);
    at("result-pick-r2")?.click();
    at("result-pick-r1")?.click();
    await tick();
    at("results-compare")?.click();
    await tick();
    await tick();
    await tick();
    expect(asked).toEqual([[["r2", "r1"], null, 900, "dark"]]);
    expect(results.command).toBe("tandem result compare r2 r1");
    const table = at("beside-table")?.textContent ?? "";
    expect(table).toContain("0.40");
    expect(table).toContain("2.00×");
    expect(table).toContain("not enough evidence");
    expect(table).toContain("the accelerators differ, tcg and kvm");
    expect(table).not.toContain("phase");
    expect(at("beside-run-1")?.textContent).toContain("kernel: 6.1 and 6.2");
    expect(document.querySelector("[data-testid=beside] h2 b")).toBeNull();
    at("beside-all")?.click();
    await tick();
    expect(at("beside-table")?.textContent).toContain("phase: app");
    await results.base("r1");
    expect(asked[1]).toEqual([["r1", "r2"], "first_response", 900, "dark"]);
    results.back();
    expect(results.command).toBe("tandem result ls");
  });
});
