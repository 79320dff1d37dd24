import { afterEach, describe, expect, it, vi } from "vitest";
import type { ExperimentRequest } from "../bindings/ExperimentRequest";
import type { Frame } from "../bindings/Frame";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Host } from "../host";
import { Lab } from "./lab.svelte";
import { status } from "./lane";

const REQUEST = {
  subject: "hello-flask", lanes: ["container", "vm/micro"], trials: 5, warmup: 1, seed: null, keep: true, port: null, time_limit_s: 120,
  resources: { memory_bytes: null, milli_cpus: null, pids: null },
} as ExperimentRequest;

/** A host whose answers a test sets. */
function host(own: Partial<Host> = {}): Host & { frame: (frame: Partial<Frame>) => void } {
  let send: (frame: Frame) => void = () => {};
  return {
    beginning: () => null,
    opening: vi.fn(),
    doctor: vi.fn(),
    subjects: vi.fn().mockResolvedValue([{ name: "hello-flask", kind: "sample", description: "" }]),
    defaults: vi.fn().mockResolvedValue(structuredClone(REQUEST)),
    launch: vi.fn().mockResolvedValue(undefined),
    watch: vi.fn((onFrame) => {
      send = onFrame;
      return Promise.resolve(null);
    }),
    cancel: vi.fn().mockResolvedValue(undefined),
    draw: vi.fn(),
    followInstances: vi.fn().mockResolvedValue(undefined),
    start: vi.fn().mockResolvedValue(undefined),
    stop: vi.fn().mockResolvedValue(undefined),
    discard: vi.fn().mockResolvedValue(undefined),
    open: vi.fn().mockResolvedValue(undefined),
    frame: (frame: Partial<Frame>) => send({ first: false, now_ms: 0, events: [], charts: null, ...frame }),
    ...own,
  } as unknown as Host & { frame: (frame: Partial<Frame>) => void };
}

async function opened(own: Partial<Host> = {}) {
  const there = host(own);
  const lab = new Lab(there);
  await lab.open();
  return { lab, there };
}

afterEach(() => vi.restoreAllMocks());

describe("the Lab's controller", () => {
  it("can be used before anything was answered, where the page brought what it needs", async () => {
    const request = { ...structuredClone(REQUEST), trials: 9 };
    const there = host({ beginning: () => ({ request, subjects: [{ name: "hello-flask", kind: "sample", description: "" }] }) });
    const lab = new Lab(there);
    const opening = lab.open();
    expect([lab.request?.trials, lab.subjects.length]).toEqual([9, 1]);
    await opening;
    expect(lab.request?.trials).toBe(9);
    expect(there.defaults).not.toHaveBeenCalled();
  });

  it("opens with the sample and launches what is chosen", async () => {
    const { lab, there } = await opened();
    expect(lab.request?.subject).toBe("hello-flask");
    expect(lab.typed).toBe(false);
    lab.request!.trials = 2;
    await lab.launch();
    expect(vi.mocked(there.launch).mock.calls[0]?.[0]).toMatchObject({ subject: "hello-flask", trials: 2 });
    expect(lab.run.stage).toBe("preparing");
    await lab.launch();
    expect(there.launch).toHaveBeenCalledTimes(1);
  });

  it("keeps what was chosen when the launch is refused", async () => {
    const failure = { code: "not_found", message: "`nope` is no sample" };
    const { lab } = await opened({ launch: vi.fn().mockRejectedValue(failure) });
    lab.request!.subject = "nope";
    await lab.launch();
    expect(lab.error).toEqual(failure);
    expect(lab.request!.subject).toBe("nope");
    expect(lab.active).toBe(false);
    lab.dismiss();
    expect(lab.error).toBeNull();
  });

  it("puts events on the page's clock at the time at which they happened", async () => {
    const { lab, there } = await opened();
    vi.spyOn(performance, "now").mockReturnValue(10_000);
    there.frame({ first: true, now_ms: 600, events: [{ at_ms: 100, event: { type: "preparing", step: "build", message: "b" } }] });
    expect(lab.run.startedAt).toBe(9400);
    expect(lab.run.steps[0]?.startedAt).toBe(9500);
  });

  it("shows the end of a run and its error", async () => {
    const { lab, there } = await opened();
    await lab.launch();
    await lab.cancel();
    expect(lab.cancelling).toBe(true);
    there.frame({ events: [{ at_ms: 1, event: { type: "stopped", error: { code: "port_in_use", message: "port 8080" }, cleaned: [] } }] });
    expect(lab.cancelling).toBe(false);
    expect(lab.error?.code).toBe("port_in_use");
  });

  it("stops a lane's instance by its name", async () => {
    const { lab, there } = await opened();
    there.frame({
      first: true,
      events: [
        { at_ms: 0, event: { type: "planned", experiment: "compare", image: "i", digest: "d", base_substituted: null, trials: 1, warmup: 0, lanes: [{ id: "container", lane: "container", accelerator: null, unavailable: null }] } },
        { at_ms: 1, event: { type: "kept", lane: "container", instance: "0123", name: "hello-flask-container", url: "http://127.0.0.1:8080/" } },
      ],
    });
    await lab.openApp(lab.run.lanes[0]!);
    expect(there.open).toHaveBeenCalledWith("hello-flask-container");
    await lab.stop(lab.run.lanes[0]!);
    expect(there.discard).toHaveBeenCalledWith("hello-flask-container");
    expect(lab.run.lanes[0]!.kept).toBeNull();
    expect(lab.command).toBe("tandem rm -f hello-flask-container");
    lab.request!.trials = 7;
    expect(lab.command).toBe("tandem compare hello-flask --trials 7 --keep");
  });

  it("follows what others do to an instance that was left running", async () => {
    const { lab, there } = await opened();
    there.frame({
      first: true,
      events: [
        { at_ms: 0, event: { type: "planned", experiment: "compare", image: "i", digest: "d", base_substituted: null, trials: 1, warmup: 0, lanes: [{ id: "container", lane: "container", accelerator: null, unavailable: null }] } },
        { at_ms: 1, event: { type: "kept", lane: "container", instance: "0123", name: "c", url: "http://127.0.0.1:8080/" } },
      ],
    });
    const row = (id: string, name: string, state: string, url: string | null) => ({ id, name, state, url }) as InstanceRow;
    const lane = () => lab.run.lanes[0]!;
    lab.notice([row("0123", "mine", "paused", null), row("9", "c", "running", "http://127.0.0.1:9/")]);
    expect([status(lane(), lab.run) === "running", lane().kept?.name]).toEqual([false, "mine"]);
    lab.notice([row("0123", "mine", "running", "http://127.0.0.1:8081/")]);
    expect([status(lane(), lab.run), lane().kept?.url]).toEqual(["running", "http://127.0.0.1:8081/"]);
    lab.notice([row("9", "c", "running", null)]);
    expect(lane().kept).toBeNull();
  });

  it("keeps the last result when the next launch is refused", async () => {
    const { lab, there } = await opened({ launch: vi.fn().mockRejectedValue({ code: "conflict", message: "busy" }) });
    there.frame({ first: true, events: [{ at_ms: 0, event: { type: "finished", result: { warnings: [], summary: [], lanes: [], verdicts: [], comparisons: [] } as never } }] });
    await lab.launch();
    expect([lab.run.stage, lab.error?.code]).toEqual(["finished", "conflict"]);
  });

  it("launches nothing that cannot be launched, by the keyboard either", async () => {
    const { lab, there } = await opened();
    for (const wrong of [{ lanes: [] }, { trials: null }, { trials: 0 }, { trials: 1.5 }, { trials: 101 }, { warmup: null }, { warmup: -1 }]) {
      Object.assign(lab.request!, structuredClone(REQUEST), wrong);
      expect(lab.ready, JSON.stringify(wrong)).toBe(false);
      expect(lab.why, JSON.stringify(wrong)).toMatch(/^Not yet: /);
      await lab.launch();
    }
    expect(there.launch).not.toHaveBeenCalled();
    Object.assign(lab.request!, structuredClone(REQUEST));
    expect(lab.ready).toBe(true);
  });

  it("shows what was changed as a command, and nothing else", async () => {
    const { lab } = await opened();
    expect(lab.command).toBe("tandem compare hello-flask --trials 5 --keep");
    Object.assign(lab.request!, { subject: "my app's", keep: false, lanes: ["container"], resources: { memory_bytes: 2 ** 28, milli_cpus: 1500, pids: null } });
    expect(lab.command).toBe("tandem compare 'my app'\\''s' --lanes container --trials 5 --memory 256m --cpus 1.5");
  });
});
