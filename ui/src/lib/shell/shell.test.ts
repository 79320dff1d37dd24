import { describe, expect, it, vi } from "vitest";
import type { Capability } from "../bindings/Capability";
import type { Machine } from "../bindings/Machine";
import type { Host } from "../host";
import { machineWords, Shell, stateLines } from "./shell.svelte";
import { TextSize } from "./text-size.svelte";
import { Theme } from "./theme.svelte";

const MACHINE = { cores: 2, memory_bytes: 24.9 * 2 ** 30, os: "Debian GNU/Linux 12 (bookworm)" } as Machine;
const capability = (id: string, status: Capability["status"]): Capability => ({ id, status, detail: "", fix: null });
const press = (key: string) => ({ key, ctrlKey: true, altKey: false, metaKey: false });

describe("the shell", () => {
  it("opens pages by their number", () => {
    const shell = new Shell({} as Host);
    expect(shell.key(press("7"))).toBe(true);
    expect(shell.page).toBe("doctor");
    expect(shell.key(press("9"))).toBe(false);
    expect(shell.key({ ...press("1"), ctrlKey: false })).toBe(false);
    expect(shell.page).toBe("doctor");
  });

  it("shows the page again that was shown before it was loaded anew", () => {
    expect([new Shell({} as Host, "results").page, new Shell({} as Host, "nowhere").page, new Shell({} as Host, null).page]).toEqual(["results", "lab", "lab"]);
  });

  it("says what a crash had left, and goes on when probing fails", async () => {
    const host = {
      opening: () => Promise.resolve({ machine: MACHINE, cleaned: ["a mount"], again: false }),
      doctor: vi.fn().mockRejectedValue({ code: "internal", message: "no" }),
    } as unknown as Host;
    const shell = new Shell(host);
    await shell.open();
    expect(shell.reaped).toEqual(["a mount"]);
    expect(shell.failure?.message).toBe("no");
    expect(shell.probing).toBe(false);
  });

  it("tells the machine's state in a few words", () => {
    expect(machineWords(MACHINE)).toEqual(["2 cores · 25 GiB", "Debian 12"]);
    expect(stateLines(null)[0]?.mark).toBe("none");
    const lines = stateLines([capability("container_engine", "ok"), capability("qemu", "ok"), capability("vm_kvm", "missing"), capability("vm_tcg", "ok")]);
    expect(lines.map((line) => `${line.mark}: ${line.words}`)).toEqual(["good: Container engine ready", "warn: VM emulated, no KVM"]);
    expect(stateLines([capability("qemu", "missing")])[0]?.words).toBe("No virtual machines");
  });
});

describe("text size", () => {
  it("steps to 200 % and is kept", () => {
    const kept = new Map<string, string>();
    const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
    const size = new TextSize(storage);
    for (let i = 0; i < 9; i++) size.key(press("+"));
    expect(size.scale).toBe(2);
    expect(document.documentElement.style.fontSize).toBe("200%");
    expect(new TextSize(storage).scale).toBe(2);
    size.key(press("0"));
    expect(size.scale).toBe(1);
  });
});

describe("the theme", () => {
  it("follows the system until one is chosen, and is kept", () => {
    let dark = true;
    vi.stubGlobal("matchMedia", (query: string) => ({ matches: dark && query.includes("dark"), addEventListener: () => {} }));
    const kept = new Map<string, string>();
    const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
    const theme = new Theme(storage);
    expect([theme.dark, document.documentElement.dataset.theme]).toEqual([true, "dark"]);
    theme.set("contrast-light");
    expect([theme.dark, document.documentElement.dataset.theme, document.documentElement.dataset.contrast]).toEqual([false, "light", "more"]);
    dark = false;
    expect(new Theme(storage).wish).toBe("contrast-light");
    kept.set("theme", "pink");
    expect(new Theme(storage).wish).toBe("system");
  });
});
