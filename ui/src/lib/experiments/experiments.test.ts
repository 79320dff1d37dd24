import { mount, tick, unmount } from "svelte";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import type { Description } from "../bindings/Description";
import type { ResultRow } from "../bindings/ResultRow";
import type { ResultView } from "../bindings/ResultView";
import type { RunEvent } from "../bindings/RunEvent";
import type { Host } from "../host";
import { Experiments } from "./experiments.svelte";
import ExperimentsPage from "./ExperimentsPage.svelte";

const SIZE = { id: "size", question: "How large?", claim: "small", method: "weigh", metrics: [], picture: "", caveat: "", explanation: "", prediction: "What?", trials: 2, missing: null } as Description;
const REQUEST = { experiment: "size", subject: "app", lanes: ["container", "vm/micro"], trials: 2, prediction: null };
const row = (id: string, experiment: string, finished: boolean) => ({ id, experiment, subject: "app", started_at: "2026-11-29T10:00:00Z", finished_at: finished ? "2026-11-29T10:01:00Z" : null, stopped: null, origin: null, trials: 4 }) as ResultRow;
const chart = { svg: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10" role="img"><title>t</title></svg>', scales: { width: 10, height: 10, panels: [] }, table: { caption: "So far: size", header: [], rows: [] } };
const SO_FAR = { document: null, charts: [{ name: "so-far", chart }], trials: [], why: "it runs", command: null } as unknown as ResultView;

let view: Record<string, unknown> | undefined;

beforeAll(() => {
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
});

afterEach(() => {
  if (view) void unmount(view);
  view = undefined;
});

const at = (id: string) => document.querySelector<HTMLElement>(`[data-testid=${id}]`);
const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

async function opened(host: object): Promise<Experiments> {
  const experiments = new Experiments({ experimentDefaults: () => Promise.resolve({ ...REQUEST }), ...host } as unknown as Host, () => false);
  view = mount(ExperimentsPage, { target: document.body, props: { experiments } });
  await experiments.choose(SIZE);
  await tick();
  return experiments;
}

it("offers the lanes, and runs none without one", async () => {
  const experiments = await opened({ results: () => Promise.resolve([]) });
  (at("experiment-lane-vm") as HTMLInputElement).click();
  (at("experiment-lane-process") as HTMLInputElement).click();
  await tick();
  expect(experiments.command).toBe("tandem experiment run size --subject app --lanes container,process --trials 2");
  (at("experiment-lane-container") as HTMLInputElement).click();
  (at("experiment-lane-process") as HTMLInputElement).click();
  await tick();
  expect((at("experiment-run") as HTMLButtonElement).disabled).toBe(true);
  expect(at("experiment-history")).toBeNull();
});

it("says why nothing runs, and keeps what was set while another is looked at", async () => {
  let end: (thrown: unknown) => void = () => {};
  const runExperiment = () => new Promise((_, reject) => (end = reject));
  const content = document.body;
  content.className = "content";
  const scrollTo = vi.fn();
  content.scrollTo = scrollTo as typeof content.scrollTo;
  const experiments = await opened({ results: () => Promise.resolve([]), runExperiment });
  expect([at("experiment-why"), scrollTo.mock.calls.at(-1)]).toEqual([null, [0, 0]]);
  experiments.request!.trials = 9;
  experiments.request!.subject = " ";
  await tick();
  expect(at("experiment-why")?.textContent).toContain("name what to launch");
  experiments.request!.subject = "mine";
  experiments.request!.lanes = [];
  await tick();
  expect(at("experiment-why")?.textContent).toContain("choose a lane");
  experiments.request!.lanes = ["container"];
  const running = experiments.run();
  await tick();
  // What runs is what stands there.
  expect((at("experiment-trials") as HTMLInputElement).matches(":disabled")).toBe(true);
  expect((at("experiment-prediction") as HTMLTextAreaElement).readOnly).toBe(true);
  await experiments.choose({ ...SIZE, id: "other" });
  await tick();
  expect(at("experiment-why")?.textContent).toContain("The experiment size runs");
  expect((at("experiment-run") as HTMLButtonElement).disabled).toBe(true);
  await experiments.choose(SIZE);
  expect(experiments.command).toBe("tandem experiment run size --subject mine --lanes container --trials 9");
  end({ code: "cancelled", message: "" });
  await running;
  content.className = "";
});

it("shows the run that was asked for last, however late another is drawn", async () => {
  let late: (view: unknown) => void = () => {};
  const drawn = (id: string) => ({ document: { id, verdicts: [], comparisons: [], warnings: [], summary: [] }, charts: [], trials: [], why: null, command: null });
  const viewResult = vi.fn((id: string) => (id === "slow" ? new Promise((resolve) => (late = resolve)) : Promise.resolve(drawn(id))));
  const experiments = await opened({ results: () => Promise.resolve([]), viewResult });
  const slow = experiments.look(row("slow", "size", true));
  await experiments.look(row("b", "size", true));
  late(drawn("slow"));
  await slow;
  expect(experiments.views.size?.document?.id).toBe("b");
});

it("lists its own earlier runs and shows one", async () => {
  const viewResult = vi.fn().mockResolvedValue(SO_FAR);
  await opened({ results: () => Promise.resolve([row("b", "size", true), row("a", "startup", true)]), viewResult });
  expect(at("experiment-earlier-a")).toBeNull();
  at("experiment-earlier-b")?.click();
  await soon();
  expect(viewResult.mock.calls[0]?.[0]).toBe("b");
  expect(at("result-chart-so-far")).not.toBeNull();
});

it("draws the trials while it runs, and goes on when that fails", async () => {
  let tell: (events: RunEvent[]) => void = () => {};
  let end: (thrown: unknown) => void = () => {};
  const rows = vi.fn().mockResolvedValue([row("b", "size", false)]);
  const viewResult = vi.fn().mockRejectedValueOnce({ code: "internal", message: "locked" }).mockResolvedValue(SO_FAR);
  const runExperiment = (_: unknown, events: typeof tell) => {
    tell = events;
    return new Promise((_, reject) => (end = reject));
  };
  const experiments = await opened({ results: rows, viewResult, runExperiment });
  const running = experiments.run();
  const trial = { type: "trial_finished", lane: "container", index: 1, outcome: "measured", reason: null } as unknown as RunEvent;
  tell([trial]);
  await soon();
  expect([at("experiment-live"), experiments.failure]).toEqual([null, null]);
  tell([trial]);
  await soon();
  expect(at("experiment-live")).not.toBeNull();
  end({ code: "cancelled", message: "cancelled" });
  await running;
  await tick();
  expect([at("experiment-live"), at("experiment-progress"), experiments.failure]).toEqual([null, null, null]);
});

it("shows a run that a page before it began, with what was asked and expected", async () => {
  let end: (thrown: unknown) => void = () => {};
  const joinErrand = (_: string, events: (events: RunEvent[]) => void) => {
    const lane = (id: string, unavailable: string | null) => ({ id, lane: id, accelerator: null, unavailable });
    events([{ type: "planned", trials: 2, warmup: 1, lanes: [lane("container", null), lane("vm/micro", "no QEMU")] } as unknown as RunEvent]);
    return new Promise((_, reject) => (end = reject));
  };
  const experiments = new Experiments({ experiments: () => Promise.resolve([SIZE]), experimentDefaults: () => Promise.resolve({ ...REQUEST }), results: () => Promise.resolve([]), joinErrand } as unknown as Host, () => false);
  const joined = experiments.rejoin({ what: "experiment", request: { ...REQUEST, trials: 7, prediction: "twice" } as never });
  await vi.waitFor(() => expect(experiments.running?.id).toBe("size"));
  const trial = (type: string, index: number) => ({ type, lane: "container", index, outcome: "measured", reason: null }) as unknown as RunEvent;
  experiments.take([trial("trial_started", 0)]);
  expect(experiments.running?.now).toBe("container, warm-up");
  experiments.take([trial("trial_finished", 0), trial("trial_started", 1), trial("trial_finished", 1)]);
  expect([experiments.running?.now, experiments.running?.trials.map((one) => one.name)]).toEqual(["container, trial 1", ["container, warm-up", "container, trial 1"]]);
  // A lane that is not there has no trials.
  expect([experiments.running?.planned, experiments.request?.trials, experiments.predictions.size, experiments.ready]).toEqual([3, 7, "twice", false]);
  end({ code: "cancelled", message: "" });
  await joined;
  expect([experiments.running, experiments.failure]).toEqual([null, null]);
});

it("runs no trials that are none", async () => {
  const runExperiment = vi.fn();
  const experiments = await opened({ results: () => Promise.resolve([]), runExperiment });
  for (const trials of [null, 0, 1.5, 1001]) {
    experiments.request!.trials = trials as number;
    await tick();
    expect((at("experiment-run") as HTMLButtonElement).disabled, String(trials)).toBe(true);
    await experiments.run();
  }
  expect(runExperiment).not.toHaveBeenCalled();
});

it("draws its pictures anew for another theme", async () => {
  let dark = false;
  const viewResult = vi.fn().mockResolvedValue({ document: { id: "b", verdicts: [], comparisons: [], warnings: [], summary: [] }, charts: [], trials: [], why: null, command: null });
  const experiments = new Experiments({ experimentDefaults: () => Promise.resolve({ ...REQUEST }), results: () => Promise.resolve([]), viewResult } as unknown as Host, () => dark);
  await experiments.choose(SIZE);
  await experiments.look(row("b", "size", true));
  dark = true;
  await experiments.redraw();
  expect(viewResult.mock.calls.map((call) => [call[0], call[2]])).toEqual([["b", "light"], ["b", "dark"]]);
});
