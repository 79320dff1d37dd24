import axe from "axe-core";
import { mount, tick, unmount } from "svelte";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Bundling } from "../bindings/Bundling";
import type { ClassView } from "../bindings/ClassView";
import type { Host } from "../host";
import { Bundles } from "./bundles.svelte";
import { Classroom } from "./class.svelte";
import ClassPage from "./ClassPage.svelte";
import FoundBundles from "./FoundBundles.svelte";

const over = { n: 2, median: 9e9, ci95: [8e9, 1e10], min: 8e9, max: 1e10 };
const machine = (file: string) => ({ files: [file], machine: { fingerprint: file, cpu: "c", cores: 2, memory_bytes: 2 ** 30, kernel: "k", os: "o", cgroup: "v2", virtualised: null }, notes: [] });
const svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10" role="img"><title>t</title></svg>';
const chart = { svg, scales: { width: 10, height: 10, panels: [] }, table: { caption: "", header: [], rows: [] } };
const VIEW = {
  group: 0,
  metric: "first_response",
  charts: [{ name: "class", chart }, { name: "class-ratios", chart }],
  class: {
    refused: [{ file: "<i>bad</i>.json", why: "it is not a whole JSON document" }],
    groups: [
      {
        experiment: "compare",
        subject: "app",
        digest: `sha256:${"0".repeat(64)}`,
        machines: [machine("ann.json"), machine("bob.json")],
        metrics: [{ metric: "first_response", unit: "ns", main: true, lanes: [{ lane: "vm/micro", accelerator: "tcg", machines: [{ machine: 1, n: 10, value: 9e9, ci95: [8e9, 1e10] }], over }], ratios: [] }],
      },
    ],
  },
} as unknown as ClassView;
const REPORT = { file: "/tmp/class.tandem", bytes: 2048, items: [{ kind: "image", name: "app", digest: null, bytes: 2048, state: "packed" }] };

let view: Record<string, unknown> | undefined;

beforeAll(() => {
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
  HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
    this.open = true;
  };
});

afterEach(() => {
  if (view) void unmount(view);
  view = undefined;
});

async function shown(host: object): Promise<{ classroom: Classroom; bundles: Bundles }> {
  const [classroom, bundles] = [new Classroom(host as Host, () => false), new Bundles(host as Host)];
  view = mount(ClassPage, { target: document.body, props: { classroom, bundles, onBack: () => {} } });
  await tick();
  return { classroom, bundles };
}

const at = (id: string) => document.querySelector<HTMLElement>(`[data-testid=${id}]`);

describe("a class's results", () => {
  it("are read from files that were chosen, and from folders that were typed", async () => {
    const viewClass = vi.fn().mockResolvedValue(VIEW);
    const { classroom } = await shown({ viewClass });
    expect((at("class-look") as HTMLButtonElement).disabled).toBe(true);
    await classroom.take([{ name: "ann.json", text: () => Promise.resolve("{}") } as File]);
    classroom.paths = " /home/t/in \n\n/home/t/x y.json";
    await classroom.look("size");
    expect(viewClass.mock.calls[1]).toEqual([{ paths: ["/home/t/in", "/home/t/x y.json"], texts: [{ file: "ann.json", text: "{}" }], join: false, group: 0, metric: "size" }, 900, "light"]);
    expect(classroom.command).toBe("tandem result class /home/t/in '/home/t/x y.json' ann.json");
    await tick();
    expect(at("class-refused")?.textContent).toContain("<i>bad</i>.json: it is not a whole JSON document");
    expect(at("class-table")?.textContent).toContain("9.00");
    expect(at("class-table")?.textContent).toContain("vm/micro, tcg");
    at("class-present")?.click();
    await tick();
    at("stage")?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    await tick();
    expect(at("stage")?.dataset.at).toBe("1");
  });

  it("are written to a file as the command would write it, and the name stays when that fails", async () => {
    const exportClass = vi.fn().mockRejectedValueOnce({ code: "usage", message: "there is a file with this name" }).mockResolvedValue(undefined);
    const { classroom } = await shown({ viewClass: vi.fn().mockResolvedValue(VIEW), exportClass });
    [classroom.paths, classroom.join] = ["/home/t/in", true];
    await classroom.look();
    [classroom.format, classroom.file] = ["markdown", " /home/t/my class.md "];
    expect(classroom.command).toBe("tandem result class --join --format md -o '/home/t/my class.md' /home/t/in");
    await classroom.save();
    expect(classroom.failure?.message).toContain("there is a file");
    expect(classroom.file).toBe(" /home/t/my class.md ");
    await classroom.save();
    expect(exportClass.mock.calls[1]).toEqual([{ paths: ["/home/t/in"], texts: [], join: true, group: 0, metric: null }, "markdown", "/home/t/my class.md"]);
    await tick();
    expect(at("class-written")?.textContent).toContain("/home/t/my class.md");
    expect(classroom.command).toBe("tandem result class --join /home/t/in");
  });

  it("show what was asked for last, and nothing once it is begun anew", async () => {
    const late: ((view: ClassView) => void)[] = [];
    const viewClass = vi.fn(() => new Promise<ClassView>((resolve) => late.push(resolve)));
    const { classroom } = await shown({ viewClass });
    classroom.paths = "/home/t/in";
    const first = classroom.look();
    classroom.join = true;
    const second = classroom.look("size");
    late[1]?.({ ...VIEW, metric: "size" });
    late[0]?.(VIEW);
    await Promise.all([first, second]);
    expect([classroom.view?.metric, classroom.reading]).toEqual(["size", false]);
    const third = classroom.look();
    classroom.forget();
    late[2]?.(VIEW);
    await third;
    expect([classroom.view, classroom.reading]).toEqual([null, false]);
  });

  it("keep what was typed when they cannot be read", async () => {
    const { classroom } = await shown({ viewClass: () => Promise.reject({ code: "usage", message: "no such folder" }) });
    classroom.paths = "/nowhere";
    await classroom.look();
    await tick();
    expect(at("error-banner")?.textContent).toContain("no such folder");
    expect(classroom.paths).toBe("/nowhere");
  });
});

describe("bundles", () => {
  it("tell how far they are, can be cancelled, and say where the file went", async () => {
    let tell: ((progress: Bundling) => void) | undefined;
    let end: ((report: unknown) => void) | undefined;
    const cancelWork = vi.fn().mockResolvedValue(undefined);
    const createBundle = vi.fn((_request: object, _file: string, onProgress: (progress: Bundling) => void) => {
      tell = onProgress;
      return new Promise((resolve) => (end = resolve));
    });
    const { bundles } = await shown({ createBundle, cancelWork });
    [bundles.file, bundles.images] = ["/tmp/class.tandem", "app, other"];
    await tick();
    expect(at("bundle-create-command")?.textContent).toBe("tandem bundle create -o /tmp/class.tandem --image app --image other --kernel");
    at("bundle-create")?.click();
    await tick();
    tell?.({ steps: ["writing /tmp/class.tandem"], line: null, done: 1024, total: 2048 });
    await tick();
    expect(at("bundle-progress")?.textContent).toContain("writing /tmp/class.tandem");
    at("bundle-cancel")?.click();
    expect(cancelWork).toHaveBeenCalledWith("bundle");
    end?.(REPORT);
    await tick();
    await tick();
    await tick();
    expect(at("bundle-report")?.textContent).toContain("/tmp/class.tandem");
    expect(createBundle.mock.calls[0]?.[0]).toEqual({ images: ["app", "other"], kernel: true, results: false, no_build: false });
  });

  it("that a page before this one began are shown as they were asked for", async () => {
    const joinErrand = vi.fn((_kind: string, tell: (progress: Bundling) => void) => {
      tell({ steps: ["writing /tmp/a"], line: null, done: 1, total: 2 });
      return Promise.resolve(REPORT);
    });
    const { bundles } = await shown({ joinErrand });
    await bundles.rejoin({ what: "create_bundle", request: { images: ["a", "b"], kernel: true, results: true, no_build: true }, file: "/tmp/a" });
    expect(bundles.createCommand).toBe("tandem bundle create -o /tmp/a --image a --image b --kernel --results --no-build");
    expect([bundles.report?.done, bundles.progress?.steps, bundles.working]).toEqual(["create", ["writing /tmp/a"], null]);
    await bundles.rejoin({ what: "open_bundle", file: "/tmp/b" });
    expect([bundles.from, bundles.report?.done]).toEqual(["/tmp/b", "open"]);
  });

  it("that were cancelled are no error", async () => {
    const { bundles } = await shown({ openBundle: () => Promise.reject({ code: "cancelled", message: "" }) });
    bundles.from = "/tmp/x";
    await bundles.open();
    expect(bundles.failure).toBeNull();
    expect(bundles.working).toBeNull();
  });

  it("lie on a stick and are opened by one click", async () => {
    const openBundle = vi.fn().mockResolvedValue(REPORT);
    const foundBundles = vi.fn().mockResolvedValueOnce([{ file: "/media/me/<b>STICK</b>/class.tandem", bytes: 2048 }]).mockRejectedValue(new Error("gone"));
    const bundles = new Bundles({ openBundle, foundBundles } as unknown as Host);
    await bundles.look();
    const onOpened = vi.fn();
    view = mount(FoundBundles, { target: document.body, props: { bundles, onOpened } });
    await tick();
    expect(at("found-bundles")?.textContent).toContain("tandem bundle open '/media/me/<b>STICK</b>/class.tandem'");
    at("found-bundle-0")?.click();
    await vi.waitFor(() => expect(onOpened).toHaveBeenCalledOnce());
    expect(openBundle.mock.calls[0]?.[0]).toBe("/media/me/<b>STICK</b>/class.tandem");
    expect(at("bundle-report")?.textContent).toContain("Taken over from");
    await bundles.look();
    expect(bundles.found).toEqual([]);
  });

  it("and the class page have nothing that axe finds serious", async () => {
    const { classroom } = await shown({ viewClass: () => Promise.resolve(VIEW) });
    classroom.paths = "/x";
    await classroom.look();
    await tick();
    const found = await axe.run(document.body, { rules: { "color-contrast": { enabled: false }, region: { enabled: false }, "label-content-name-mismatch": { enabled: false } } });
    expect(found.violations.filter((one) => one.impact === "serious" || one.impact === "critical").map((one) => one.id)).toEqual([]);
  }, 60_000);
});
