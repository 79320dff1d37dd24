import { describe, expect, it, vi } from "vitest";
import type { Host } from "../host";
import { TerminalSession } from "./session.svelte";

const SIZE = { columns: 80, rows: 24 };

function joined(own: Partial<Host> = {}) {
  let give: (bytes: Uint8Array) => void = () => {};
  let finish: (end: { code: number | null }) => void = () => {};
  const host = {
    openTerminal: vi.fn().mockResolvedValue({ id: 7, command: "tandem exec -it web bash" }),
    followTerminal: vi.fn((_: number, onBytes: (bytes: Uint8Array) => void) => {
      give = onBytes;
      return new Promise((resolve) => (finish = resolve));
    }),
    typeInTerminal: vi.fn().mockResolvedValue(undefined),
    resizeTerminal: vi.fn().mockResolvedValue(undefined),
    terminalTaken: vi.fn().mockResolvedValue(undefined),
    closeTerminal: vi.fn().mockResolvedValue(undefined),
    ...own,
  } as unknown as Host;
  return { host, session: new TerminalSession(host), give: (bytes: Uint8Array) => give(bytes), finish: (code: number | null) => finish({ code }) };
}

describe("a terminal's session", () => {
  it("says the command, and how the shell has ended", async () => {
    const { session, finish } = joined();
    const over = session.run("web", "shell", SIZE, () => {});
    await vi.waitFor(() => expect(session.state).toBe("open"));
    expect(session.command).toBe("tandem exec -it web bash");
    finish(3);
    await over;
    expect([session.state, session.code]).toEqual(["ended", 3]);
  });

  it("tells what was drawn, in large portions while more is to be drawn", async () => {
    const { host, session, give } = joined();
    const waiting: (() => void)[] = [];
    void session.run("web", "shell", SIZE, (_, drawn) => waiting.push(drawn));
    await vi.waitFor(() => expect(host.followTerminal).toHaveBeenCalled());
    for (let piece = 0; piece < 5; piece += 1) give(new Uint8Array(10_000));
    expect(host.terminalTaken).not.toHaveBeenCalled();
    waiting.splice(0, 3).forEach((drawn) => drawn());
    expect(host.terminalTaken).not.toHaveBeenCalled();
    waiting.splice(0, 2).forEach((drawn) => drawn());
    expect(vi.mocked(host.terminalTaken).mock.calls).toEqual([[7, 40_000], [7, 10_000]]);
  });

  it("keeps keys in order, and sends those together that wait", async () => {
    const taken: (() => void)[] = [];
    const typeInTerminal = vi.fn(() => new Promise<void>((resolve) => taken.push(resolve)));
    const { session } = joined({ typeInTerminal });
    session.type("e");
    void session.run("web", "shell", SIZE, () => {});
    await vi.waitFor(() => expect(typeInTerminal).toHaveBeenCalledTimes(1));
    session.type("c");
    session.type("ho");
    taken.shift()?.();
    await vi.waitFor(() => expect(typeInTerminal).toHaveBeenCalledTimes(2));
    expect(typeInTerminal.mock.calls).toEqual([[7, "e"], [7, "cho"]]);
  });

  it("closes a shell that opens when nobody looks any more", async () => {
    let open: (opened: { id: number; command: string }) => void = () => {};
    const { host, session } = joined({ openTerminal: vi.fn(() => new Promise<{ id: number; command: string }>((resolve) => (open = resolve))) });
    const over = session.run("web", "shell", SIZE, () => {});
    session.close();
    open({ id: 9, command: "" });
    await over;
    expect(host.closeTerminal).toHaveBeenCalledExactlyOnceWith(9);
    expect(host.followTerminal).not.toHaveBeenCalled();
  });

  it("passes the newest size on once it is open", async () => {
    const { host, session } = joined();
    const running = session.run("web", "shell", SIZE, () => {});
    session.resize({ columns: 100, rows: 30 });
    await vi.waitFor(() => expect(host.resizeTerminal).toHaveBeenCalledExactlyOnceWith(7, { columns: 100, rows: 30 }));
    void running;
  });

  it("shows why there is no shell", async () => {
    const { host, session } = joined({ openTerminal: vi.fn().mockRejectedValue({ code: "unavailable", message: "its image has no shell" }) });
    await session.run("web", "shell", SIZE, () => {});
    expect([session.state, session.failure?.message]).toEqual(["failed", "its image has no shell"]);
    session.dismiss();
    expect([session.state, session.failure]).toEqual(["failed", null]);
    expect(host.openTerminal).toHaveBeenCalledTimes(1);
  });
});
