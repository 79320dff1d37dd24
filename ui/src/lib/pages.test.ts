import axe from "axe-core";
import { type Component, mount, tick, unmount } from "svelte";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Description } from "./bindings/Description";
import { Experiments } from "./experiments/experiments.svelte";
import ExperimentsPage from "./experiments/ExperimentsPage.svelte";
import type { Host } from "./host";
import { Images } from "./images/images.svelte";
import ImagesPage from "./images/ImagesPage.svelte";
import { Instances } from "./instances/instances.svelte";
import { Language } from "./messages/language.svelte";
import { Postgres } from "./postgres/postgres.svelte";
import { Results } from "./results/results.svelte";
import ResultsPage from "./results/ResultsPage.svelte";
import SettingsPage from "./settings/SettingsPage.svelte";
import { Shell } from "./shell/shell.svelte";
import { Theme } from "./shell/theme.svelte";
import { TextSize } from "./shell/text-size.svelte";
import { Workbench } from "./workbench/workbench.svelte";
import WorkbenchPage from "./workbench/WorkbenchPage.svelte";

const EXPERIMENT = { id: "startup", question: "How long?", claim: "Sooner", method: "", metrics: [], picture: "", caveat: "", explanation: "Because", prediction: "How much?", trials: 3, missing: null } as Description;
const ROW = { id: "r1", experiment: "startup", subject: "<i>x</i>", started_at: "2026-01-01T00:00:00Z", finished_at: null, stopped: "cancelled", origin: null, trials: 1 };

const host = {
  images: () => Promise.resolve([{ name: "app", tag: "latest", digest: "sha256:1", size_bytes: 10, unique_bytes: 5, created_at: null, layers: 1 }]),
  experiments: () => Promise.resolve([EXPERIMENT]),
  experimentDefaults: () => Promise.resolve({ experiment: "startup", subject: "app", lanes: ["container"], trials: 3 }),
  results: () => Promise.resolve([ROW]),
  outside: () => Promise.resolve({ registries_file: "/home/registries.json", settings: [] }),
  dataFolder: () => Promise.resolve("/home"),
  diskUse: () => Promise.resolve({ rows: [{ kind: "images", count: 1, active: 1, bytes: 1, reclaimable_bytes: 0 }], bytes: 1, reclaimable_bytes: 0 }),
} as unknown as Host;

let view: Record<string, unknown> | undefined;

/** Shows a page, and gives what axe finds serious or worse in it. */
async function findings<P extends Record<string, unknown>>(page: Component<P>, props: P): Promise<string[]> {
  view = mount(page, { target: document.body, props });
  await tick();
  await Promise.resolve();
  // Colours need a real view: the design tokens are chosen for their contrast.
  const found = await axe.run(document.body, { rules: { "color-contrast": { enabled: false }, region: { enabled: false }, "label-content-name-mismatch": { enabled: false } } });
  return found.violations.filter((one) => one.impact === "serious" || one.impact === "critical").map((one) => `${one.id}: ${one.nodes[0]?.html}`);
}

beforeAll(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {} }));
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
});

afterEach(() => {
  if (view) void unmount(view);
});

describe("axe finds nothing serious", () => {
  it("on Images", async () => {
    const images = new Images(host);
    await images.refresh();
    expect(await findings(ImagesPage, { images, postgres: new Postgres(host), instances: [] })).toEqual([]);
  }, 60_000);

  it("on the Workbench", async () => {
    const storage = { getItem: () => '["/home/me/app"]', setItem: () => {} };
    expect(await findings(WorkbenchPage, { bench: new Workbench(host, storage), instances: new Instances(host) })).toEqual([]);
  }, 60_000);

  it("on Experiments, with the one that is open", async () => {
    const experiments = new Experiments(host, () => false);
    await experiments.load();
    expect(experiments.command).toBe("tandem experiment ls");
    await experiments.choose(EXPERIMENT);
    expect(experiments.command).toBe("tandem experiment run startup --subject app --lanes container --trials 3");
    expect(await findings(ExperimentsPage, { experiments })).toEqual([]);
  }, 60_000);

  it("on Results, where names are text", async () => {
    const results = new Results(host, () => false);
    await results.refresh();
    expect(await findings(ResultsPage, { results })).toEqual([]);
    expect(document.querySelector("i")).toBeNull();
  }, 60_000);

  it("on Settings", async () => {
    const textSize = new TextSize({ getItem: () => null, setItem: () => {} });
    const language = new Language({ getItem: () => null, setItem: () => {} });
    expect(await findings(SettingsPage, { host, shell: new Shell(host), language, textSize, theme: new Theme({ getItem: () => null, setItem: () => {} }), onCommand: () => {} })).toEqual([]);
  }, 60_000);
});
