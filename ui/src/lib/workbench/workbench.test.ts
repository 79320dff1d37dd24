import { describe, expect, it, vi } from "vitest";
import type { Building } from "../bindings/Building";
import type { LogRow } from "../bindings/LogRow";
import type { Host } from "../host";
import { plainText, Workbench } from "./workbench.svelte";

const PROJECT = { folder: "/home/me/app", tag: "app", files: [{ name: "app.py", text: "old" }, { name: "Dockerfile", text: "FROM x" }] };

function bench(own: Partial<Host> = {}) {
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
  const host = { openProject: vi.fn().mockResolvedValue(PROJECT), saveProjectFile: vi.fn().mockResolvedValue(undefined), ...own } as unknown as Host;
  return { bench: new Workbench(host, storage), host, storage };
}

describe("the Workbench", () => {
  it("leaves a terminal's colours out of what is read", () => {
    expect(plainText("\u001b[31m\u001b[1mWARNING\u001b[0m: [x]")).toBe("WARNING: [x]");
  });

  it("opens a project, saves what changed and remembers the folder", async () => {
    const { bench: page, host, storage } = bench();
    await page.open("/home/me/app");
    expect(page.command).toBe("tandem build -t app /home/me/app");
    page.texts["app.py"] = "new";
    expect(page.changed).toEqual(["app.py"]);
    expect(await page.save()).toBe(true);
    expect(host.saveProjectFile).toHaveBeenCalledExactlyOnceWith("/home/me/app", "app.py", "new");
    expect(page.changed).toEqual([]);
    expect(new Workbench(host, storage).recent).toEqual(["/home/me/app"]);
  });

  it("keeps what was typed when it cannot be saved, and does not build it", async () => {
    const buildProject = vi.fn();
    const { bench: page } = bench({ saveProjectFile: vi.fn().mockRejectedValue({ code: "no_space", message: "full" }), buildProject });
    await page.open("/home/me/app");
    page.texts["app.py"] = "new";
    await page.startBuild();
    expect(buildProject).not.toHaveBeenCalled();
    expect(page.texts["app.py"]).toBe("new");
    expect(page.failure?.code).toBe("no_space");
  });

  it("has what was typed again when its project is opened again", async () => {
    const { bench: page } = bench();
    await page.open("/home/me/app");
    page.texts["app.py"] = "typed";
    page.leave();
    expect(page.project).toBeNull();
    await page.open("/home/me/app");
    expect([page.texts["app.py"], page.texts["Dockerfile"], page.changed]).toEqual(["typed", "FROM x", ["app.py"]]);
    await page.save();
    page.leave();
    await page.open("/home/me/app");
    expect(page.texts["app.py"]).toBe("old");
  });

  it("shows the steps of a build and which came from the cache", async () => {
    const events: Building[] = [
      { type: "step", index: 1, total: 2, instruction: "FROM x", line: 1 },
      { type: "cached", index: 1 },
      { type: "step", index: 2, total: 2, instruction: "RUN y", line: 2 },
      { type: "output", index: 2, text: "<b>out</b>" },
      { type: "done", index: 2, elapsed_ns: 5, bytes: 7 },
    ];
    const { bench: page } = bench({ buildProject: vi.fn((_: string, on: (events: Building[]) => void) => { on(events); return Promise.resolve("sha256:1"); }) });
    await page.open("/home/me/app");
    await page.startBuild();
    expect(page.build?.steps.map((step) => step.state)).toEqual(["cached", "done"]);
    expect(page.build?.steps[1]?.output).toEqual(["<b>out</b>"]);
    expect(page.build?.digest).toBe("sha256:1");
  });

  it("draws a log once a frame, however often lines come, and none of another instance", async () => {
    let told: (lines: LogRow[]) => void = () => {};
    const followLog = vi.fn((_: string, on: (lines: LogRow[]) => void) => ((told = on), new Promise<void>(() => {})));
    const { bench: page } = bench({ followLog, snapshots: vi.fn().mockResolvedValue([]) });
    const frames: (() => void)[] = [];
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => frames.push(draw));
    const row = (text: string): LogRow => ({ time: "2026-03-09T10:00:00Z", error: false, text });
    await page.choose("web");
    told([row("one"), row("\u001b[1mtwo")]);
    told([row("three")]);
    expect([page.log, frames.length]).toEqual([[], 1]);
    frames.shift()?.();
    expect(page.log).toEqual(["one", "two", "three"]);
    const first = told;
    await page.choose("other");
    first([row("late")]);
    told([row("own")]);
    frames.forEach((draw) => draw());
    expect(page.log).toEqual(["own"]);
    vi.unstubAllGlobals();
  });

  it("shows a terminal of the instance that is looked at, and the log of the next", async () => {
    const { bench: page } = bench({ followLog: vi.fn().mockResolvedValue(undefined), snapshots: vi.fn().mockResolvedValue([]) });
    await page.choose("web");
    expect([page.tab, page.command]).toEqual(["log", "tandem logs -f web"]);
    page.show("shell");
    page.say("tandem exec -it web bash");
    expect(page.command).toBe("tandem exec -it web bash");
    page.show("log");
    expect(page.command).toBe("tandem logs -f web");
    page.show("shell");
    await page.choose("other");
    expect(page.tab).toBe("log");
  });
});
