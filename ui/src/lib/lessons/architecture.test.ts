import axe from "axe-core";
import { mount, tick, unmount } from "svelte";
import { afterEach, describe, expect, it } from "vitest";
import type { Guide } from "../bindings/Guide";
import type { InstanceRow } from "../bindings/InstanceRow";
import { shown } from "../messages/language.svelte";
import Architecture from "./Architecture.svelte";
import { facts, type Ground, STACKS, taken } from "./architecture";

const MIB = 1024 * 1024;
const bound = (what: "memory" | "disk", each: number) => ({ what, each, n: 4, fits: 9 });
const guide = {
  lanes: [
    { lane: "container", backend: "container", first_response_ns: 250e6, bounds: [bound("memory", 50 * MIB), bound("disk", MIB)] },
    { lane: "vm/micro", backend: "vm", first_response_ns: 4e9, bounds: [bound("memory", 200 * MIB)] },
  ],
} as unknown as Guide;
const GROUND = {
  machine: { cpu: "Some CPU", cores: 2, memory_bytes: 24 * 1024 * MIB, kernel: "6.18.44", os: "Debian", virtualised: "KVM" },
  capabilities: [
    { id: "qemu", status: "ok", detail: "QEMU 10.0.2 at /usr/bin/qemu", fix: null },
    { id: "vm_tcg", status: "ok", detail: "works", fix: null },
    { id: "vm_kernel", status: "ok", detail: "Linux 6.1.0-57", fix: null },
  ],
  images: [{ name: "hello-flask", size_bytes: 160 * MIB, layers: 5 }],
  guide,
} as unknown as Ground;
const EMPTY: Ground = { machine: null, capabilities: null, images: null, guide: null };
const row = (name: string, backend: string) => ({ name, backend, state: "running" }) as unknown as InstanceRow;

let view: Record<string, unknown> | undefined;

afterEach(() => {
  if (view) void unmount(view);
  view = undefined;
  shown.language = "en";
});

describe("the picture of the architecture", () => {
  it("says of each layer what it is on this machine", () => {
    const is = (lane: "container" | "vm", layer: Parameters<typeof facts>[1]) => facts(lane, layer, GROUND, [row("box", "container"), row("web-vm", "vm")]).map((fact) => fact.is).join(" | ");
    expect(is("vm", "guest")).toContain("Linux 6.1.0-57");
    expect(is("container", "kernel")).toContain("6.18.44");
    expect(is("vm", "hypervisor")).toContain("QEMU 10.0.2");
    expect(is("vm", "hypervisor")).toContain("emulated");
    expect(is("vm", "hypervisor")).toContain("web-vm");
    expect(is("vm", "hypervisor")).not.toContain("box");
    expect(is("container", "app")).toContain("160\u00a0MiB in 5 layers");
    expect(is("container", "app")).toContain("0.25\u00a0s");
    expect(is("vm", "app")).toContain("4.00\u00a0s");
    expect(is("container", "hardware")).toContain("24.0\u00a0GiB");
  });

  it("makes no figure up where nothing was measured", () => {
    expect(taken("vm", 3, null)).toBeNull();
    expect(taken("vm", 3, guide)).toEqual({ memory: 600 * MIB, disk: null });
    expect(facts("container", "hardware", EMPTY, [])).toEqual([]);
    expect(facts("container", "app", EMPTY, []).map((fact) => fact.is).join()).toContain("Not measured on this machine yet");
    expect(facts("container", "app", { ...EMPTY, images: [] }, []).map((fact) => fact.is).join()).toContain("not built yet");
  });

  it("has words for each of its layers in either language", async () => {
    const { en } = await import("../messages/en");
    const { de } = await import("../messages/de");
    for (const words of [en, de]) {
      for (const lane of ["container", "vm"] as const) {
        for (const layer of [...STACKS[lane].own, ...STACKS[lane].shared]) expect(words.lessons.architecture.layers[layer][lane].length).toBeGreaterThan(30);
      }
    }
  });

  it("shows what is chosen, and reckons for more apps", async () => {
    view = mount(Architecture, { target: document.body, props: { ground: GROUND, rows: [] } });
    await tick();
    const at = (id: string) => document.querySelector<HTMLElement>(`[data-testid=${id}]`);
    expect(at("architecture-told")?.textContent).toContain("6.18.44");
    at("architecture-vm-guest")?.click();
    await tick();
    expect(at("architecture-told")?.textContent).toContain("Linux 6.1.0-57");
    expect(at("architecture-vm-guest")?.getAttribute("aria-pressed")).toBe("true");
    expect(at("architecture-container-sum")?.textContent).toContain("100\u00a0MiB");
    const slider = at("architecture-count") as HTMLInputElement;
    slider.value = "4";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await tick();
    expect(at("architecture-container-sum")?.textContent).toContain("200\u00a0MiB");
    expect(at("architecture-vm-sum")?.textContent).toContain("800\u00a0MiB");
    expect(document.querySelectorAll(".vm .one")).toHaveLength(4);
    const { violations } = await axe.run(document.body, { rules: { region: { enabled: false } } });
    expect(violations.map((one) => one.id)).toEqual([]);
  });
});
