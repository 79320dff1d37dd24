import { mount, tick, unmount } from "svelte";
import { describe, expect, it, vi } from "vitest";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Host } from "../host";
import InstanceList from "./InstanceList.svelte";
import { Instances, isUp, laneWords, stateWords } from "./instances.svelte";

const row = (own: Partial<InstanceRow>): InstanceRow =>
  ({ name: "web", backend: "container", profile: null, accelerator: null, state: "running", exit_code: null, ...own }) as InstanceRow;

function followed(own: Partial<Host> = {}) {
  let send: (rows: InstanceRow[]) => void = () => {};
  const host = {
    followInstances: vi.fn((onRows) => {
      send = onRows;
      return new Promise<void>(() => {});
    }),
    stop: vi.fn().mockResolvedValue(undefined),
    ...own,
  } as unknown as Host;
  const instances = new Instances(host);
  const seen = vi.fn();
  void instances.open(seen);
  return { instances, seen, host, send: (rows: InstanceRow[]) => send(rows) };
}

describe("the instances of the home", () => {
  it("shows what others changed, and passes it on", () => {
    const { instances, seen, send } = followed();
    send([row({})]);
    expect(instances.rows[0]?.name).toBe("web");
    expect(seen).toHaveBeenCalledTimes(1);
    send([]);
    expect(instances.rows).toEqual([]);
  });

  it("follows again after that broke off, and says why no more than once", async () => {
    const rests: (() => void)[] = [];
    const rest = () => new Promise<void>((resolve) => rests.push(resolve));
    const answers: { rows: (rows: InstanceRow[]) => void; end: (thrown?: unknown) => void }[] = [];
    const followInstances = vi.fn((rows: (rows: InstanceRow[]) => void) => new Promise<void>((resolve, reject) => answers.push({ rows, end: (thrown) => (thrown ? reject(thrown) : resolve()) })));
    const instances = new Instances({ followInstances } as unknown as Host);
    const open = instances.open(() => {}, rest);
    const breaks = async () => {
      answers.at(-1)?.end({ code: "internal", message: "no home" });
      await vi.waitFor(() => expect(rests.length).toBe(answers.length));
    };
    await breaks();
    expect(instances.failure?.message).toBe("no home");
    instances.dismiss();
    rests.at(-1)?.();
    await vi.waitFor(() => expect(answers.length).toBe(2));
    await breaks();
    expect(instances.failure).toBeNull();
    rests.at(-1)?.();
    await vi.waitFor(() => expect(answers.length).toBe(3));
    answers[2]?.rows([row({})]);
    expect(instances.rows.length).toBe(1);
    // Another page follows from now on.
    answers[2]?.end();
    await open;
  });

  it("asks one thing of an instance at a time and shows what went wrong", async () => {
    let refuse: (reason: unknown) => void = () => {};
    const stop = vi.fn(() => new Promise<void>((_, reject) => (refuse = reject)));
    const { instances } = followed({ stop });
    const first = instances.stop("web");
    await instances.stop("web");
    expect(stop).toHaveBeenCalledTimes(1);
    expect(instances.busy).toEqual(["web"]);
    refuse({ code: "not_found", message: "there is no instance `web`" });
    await first;
    expect(instances.busy).toEqual([]);
    expect(instances.failure?.code).toBe("not_found");
  });

  it("shows what is asked of one as a command", async () => {
    const { instances, send } = followed({ start: vi.fn().mockResolvedValue(undefined), discard: vi.fn().mockResolvedValue(undefined) });
    const onCommand = vi.fn();
    send([row({ id: "1", image: "app", ports: [] }), row({ id: "2", name: "old", image: "app", ports: [], state: "exited" })]);
    const view = mount(InstanceList, { target: document.body, props: { instances, onCommand } });
    await tick();
    for (const id of ["stop", "start", "remove"]) document.querySelector<HTMLElement>(`[data-testid=instance-${id}]`)?.click();
    expect(onCommand.mock.calls.flat()).toEqual(["tandem stop web", "tandem start old", "tandem rm old"]);
    void unmount(view);
  });

  it("says state and lane as the command line does", () => {
    expect(stateWords(row({ state: "exited", exit_code: 137 }))).toBe("exited (137)");
    expect(stateWords(row({ state: "paused" }))).toBe("paused");
    expect(laneWords(row({ backend: "vm", profile: "micro", accelerator: "tcg" }))).toBe("vm/micro@tcg");
    expect(isUp(row({ state: "restarting" }))).toBe(true);
    expect(isUp(row({ state: "created" }))).toBe(false);
  });
});
