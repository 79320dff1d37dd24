import { mount, tick, unmount } from "svelte";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Building } from "../bindings/Building";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { LogRow } from "../bindings/LogRow";
import type { Host } from "../host";
import { plainText } from "./build";
import InstancePane from "./InstancePane.svelte";
import { Workbench } from "./workbench.svelte";

const PROJECT = { folder: "/home/me/app", tag: "app", files: [{ name: "app.py", text: "old" }, { name: "Dockerfile", text: "FROM x" }] };

function bench(own: Partial<Host> = {}) {
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
  const host = { openProject: vi.fn().mockResolvedValue(PROJECT), saveProjectFile: vi.fn().mockResolvedValue(undefined), ...own } as unknown as Host;
  return { bench: new Workbench(host, storage), host, storage };
}

afterEach(() => vi.unstubAllGlobals());

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
    expect(host.saveProjectFile).toHaveBeenCalledExactlyOnceWith("/home/me/app", "app.py", "new", "old");
    expect(page.changed).toEqual([]);
    expect(new Workbench(host, storage).recent).toEqual(["/home/me/app"]);
  });

  it("shows the build as a command, with the base that stood in", async () => {
    const stood = "localhost/tandem/python:3.11-bookworm stands in for python:3.12-slim";
    const buildProject = (_: string, tell: (events: Building[]) => void) => {
      tell([{ type: "notice", text: "python:3.12-slim cannot be fetched: a base made from Debian packages stands in" }, { type: "notice", text: stood }]);
      return Promise.resolve("sha256:1");
    };
    const { bench: page } = bench({ buildProject } as unknown as Partial<Host>);
    await page.open("/home/me/app");
    await page.startBuild();
    expect(page.command).toBe("tandem build -t app --build-context python:3.12-slim=docker-image://localhost/tandem/python:3.11-bookworm /home/me/app");
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

  it("has it after the page or the program was started anew, and leaves nothing behind what was saved", async () => {
    const { bench: page, host, storage } = bench();
    await page.open("/home/me/app");
    page.type("app.py", "typed");
    globalThis.dispatchEvent(new Event("pagehide"));
    const next = new Workbench(host, storage);
    await next.resume();
    expect([next.project?.folder, next.texts["app.py"], next.changed]).toEqual(["/home/me/app", "typed", ["app.py"]]);
    await next.save();
    next.leave();
    globalThis.dispatchEvent(new Event("pagehide"));
    const last = new Workbench(host, storage);
    await last.resume();
    expect(last.project).toBeNull();
    await last.open("/home/me/app");
    expect(last.changed).toEqual([]);
  });

  it("writes over no other program's text before one has read that it would", async () => {
    const disk = { ...PROJECT, files: [{ name: "app.py", text: "theirs" }, { name: "Dockerfile", text: "FROM y" }] };
    const openProject = vi.fn().mockResolvedValueOnce(PROJECT).mockResolvedValue(disk);
    const saveProjectFile = vi.fn().mockRejectedValueOnce({ code: "conflict", message: "changed" }).mockResolvedValue(undefined);
    const { bench: page } = bench({ openProject, saveProjectFile });
    await page.open("/home/me/app");
    page.type("app.py", "mine");
    expect(await page.save()).toBe(false);
    expect([page.failure?.code, page.texts["app.py"], page.texts["Dockerfile"], page.changed]).toEqual(["conflict", "mine", "FROM y", ["app.py"]]);
    expect(await page.save()).toBe(true);
    expect(saveProjectFile).toHaveBeenLastCalledWith("/home/me/app", "app.py", "mine", "theirs");
  });

  it("says what is wrong at which line, as the builder and Python tell it", async () => {
    const checkDockerfile = vi.fn(async (file: string, text: string) => (text.includes("RUNN") ? { file, line: 2, text: "unknown instruction" } : null));
    const { bench: page } = bench({ checkDockerfile, buildProject: vi.fn().mockRejectedValue({ code: "build_failed", message: 'Dockerfile:1: `RUN x` ended with code 1; its last output:\n  File "/app/app.py", line 3\nSyntaxError: bad' }) });
    await page.open("/home/me/app");
    page.type("Dockerfile", "FROM x\nRUNN y");
    await page.check("Dockerfile");
    page.type("app.py", "def f(:");
    await page.check("app.py");
    expect(page.faults("Dockerfile")).toEqual([{ file: "Dockerfile", line: 2, text: "unknown instruction" }]);
    expect(page.faults("app.py").map((fault) => fault.line)).toEqual([1]);
    page.type("Dockerfile", "FROM x");
    await page.check("Dockerfile");
    page.type("app.py", "pass");
    await page.check("app.py");
    expect([page.faults("Dockerfile"), page.faults("app.py")]).toEqual([[], []]);
    await page.startBuild();
    expect([page.faults("Dockerfile")[0]?.line, page.faults("app.py")[0]?.text]).toEqual([1, "SyntaxError: bad"]);
    // Whoever changes the file is at it.
    page.type("app.py", "pass ");
    expect(page.faults("app.py")).toEqual([]);
  });

  it("begins one build, however often one asks while it saves", async () => {
    let saved: () => void = () => {};
    const buildProject = vi.fn().mockResolvedValue("sha256:1");
    const { bench: page } = bench({ saveProjectFile: vi.fn(() => new Promise<void>((resolve) => (saved = resolve))), buildProject });
    await page.open("/home/me/app");
    page.type("app.py", "new");
    const builds = [page.startBuild(), page.startBuild()];
    saved();
    await Promise.all(builds);
    expect(buildProject).toHaveBeenCalledTimes(1);
    expect(page.build?.state).toBe("done");
  });

  it("shows a build that a page before it began, and cancels it", async () => {
    let end: (thrown: unknown) => void = () => {};
    const joinErrand = vi.fn((_kind: string, on: (events: Building[]) => void) => {
      on([{ type: "step", index: 1, total: 2, instruction: "FROM x", line: 1 }]);
      return new Promise<string>((_, reject) => (end = reject));
    });
    const { bench: page } = bench({ joinErrand: joinErrand as unknown as Host["joinErrand"], cancelWork: vi.fn().mockResolvedValue(undefined) });
    const joined = page.rejoin("/home/me/app");
    await vi.waitFor(() => expect(page.build?.steps.length).toBe(1));
    expect(page.build?.state).toBe("running");
    end({ code: "cancelled", message: "" });
    await joined;
    expect([page.build?.state, page.failure]).toEqual(["cancelled", null]);
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

describe("an instance that is looked at", () => {
  const row = (id: string, name: string, state = "running") => ({ id, name, state, image: "app:latest" }) as InstanceRow;
  const line = (text: string): LogRow => ({ time: "2026-03-09T10:00:00Z", error: false, text });

  function looking() {
    const logs: { name: string; told: (lines: LogRow[]) => void; end: () => void }[] = [];
    const followLog = vi.fn((name: string, told: (lines: LogRow[]) => void) => new Promise<void>((end) => logs.push({ name, told, end })));
    const frames: (() => void)[] = [];
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => frames.push(draw));
    vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
    const drawn = () => frames.splice(0).forEach((draw) => draw());
    return { logs, drawn, ...bench({ followLog, snapshots: vi.fn().mockResolvedValue([]) }) };
  }

  it("stays looked at under another name", async () => {
    const { bench: page, logs, drawn } = looking();
    await page.choose("web", row("1", "web"));
    logs[0]?.told([line("one")]);
    drawn();
    page.notice([row("1", "shop"), row("2", "web")]);
    expect([page.chosen, page.log, page.command, logs.length]).toEqual(["shop", ["one"], "tandem logs -f shop", 1]);
    expect([page.looksAt(row("1", "shop")), page.looksAt(row("2", "web"))]).toEqual([true, false]);
    logs[0]?.told([line("two")]);
    drawn();
    expect(page.log).toEqual(["one", "two"]);
  });

  it("has its log followed through a new start", async () => {
    const { bench: page, logs, drawn } = looking();
    await page.choose("web", row("1", "web"));
    logs[0]?.told([line("one")]);
    drawn();
    page.notice([row("1", "web")]);
    logs[0]?.end();
    await new Promise((resolve) => setTimeout(resolve));
    page.notice([row("1", "web", "exited")]);
    expect([logs.length, page.log]).toEqual([1, ["one"]]);
    page.notice([row("1", "web")]);
    expect(logs.length).toBe(2);
    // What was there stands there until the log comes anew.
    expect(page.log).toEqual(["one"]);
    logs[1]?.told([line("one"), line("two")]);
    drawn();
    expect(page.log).toEqual(["one", "two"]);
  });

  it("is gone when somebody removes it, and is not another one of its name", async () => {
    const { bench: page } = looking();
    await page.choose("web", row("1", "web"));
    page.show("shell");
    page.notice([row("2", "web")]);
    expect([page.chosen, page.gone, page.looksAt(row("2", "web"))]).toEqual([null, "web", false]);
    // Who removed it here need not be told.
    await page.choose("own", row("3", "own"));
    expect(page.gone).toBeNull();
    page.notice([], (name) => name === "own");
    expect([page.chosen, page.gone]).toEqual([null, null]);
  });

  it("shows no other's report", async () => {
    let done: (report: unknown) => void = () => {};
    const { bench: page, host } = looking();
    Object.assign(host, { update: () => new Promise((resolve) => (done = resolve)) });
    await page.choose("slow", row("1", "slow"));
    const updating = page.update("slow", 2 ** 28, null);
    await page.choose("other", row("2", "other"));
    done({ how: "cold", elapsed_ns: 1, downtime_ns: 1 });
    await updating;
    expect(page.report).toBeNull();
  });

  it("keeps limits that were set and not applied while other things of it change", async () => {
    const { bench: page } = looking();
    const full = (more: object) => ({ ...row("1", "web"), backend: "container", profile: null, resources: { memory_bytes: 2 ** 28, milli_cpus: 1000, pids: null }, ...more }) as InstanceRow;
    const props = $state({ bench: page, row: full({}) });
    const view = mount(InstancePane, { target: document.body, props });
    await tick();
    const slider = document.querySelector<HTMLInputElement>("[data-testid=update-memory]")!;
    expect(slider.value).toBe("256");
    slider.value = "512";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    props.row = full({ health: "healthy" });
    await tick();
    expect(slider.value).toBe("512");
    props.row = full({ resources: { memory_bytes: 2 ** 30, milli_cpus: 1000, pids: null } });
    await tick();
    expect(slider.value).toBe("1024");
    void unmount(view);
  });

  it("is written to a file for somebody else, whoever is looked at meanwhile", async () => {
    let done: (given: unknown) => void = () => {};
    const { bench: page, host } = looking();
    Object.assign(host, { give: () => new Promise((resolve) => (done = resolve)) });
    page.gift.suggest({ name: "web" });
    const giving = page.gift.give("web");
    page.gift.suggest({ name: "other" });
    expect([page.gift.busy, page.gift.name, page.gift.file]).toEqual([true, "web", "~/web.tandem-instance"]);
    done({ file: "/home/me/web.tandem-instance", bytes: 7, taken_with: null });
    await giving;
    expect([page.gift.busy, page.gift.given?.bytes]).toEqual([false, 7]);
  });
});
