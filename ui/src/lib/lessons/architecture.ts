// What a container and a virtual machine stand on, layer by layer, with what
// each layer is on this very machine. Pure.

import type { Capability } from "../bindings/Capability";
import type { Guide } from "../bindings/Guide";
import type { ImageRow } from "../bindings/ImageRow";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { LaneFit } from "../bindings/LaneFit";
import type { Machine } from "../bindings/Machine";
import { bytes, duration, text } from "../format";
import { isUp } from "../instances/instances.svelte";
import { said } from "../messages/said.svelte";
import { say } from "../messages";

export type LaneId = "container" | "vm";
export type LayerId = "app" | "guest" | "engine" | "hypervisor" | "kernel" | "hardware";

/** From the top; the first ones are there once for each app. */
export const STACKS: Readonly<Record<LaneId, { own: readonly LayerId[]; shared: readonly LayerId[] }>> = {
  container: { own: ["app"], shared: ["engine", "kernel", "hardware"] },
  vm: { own: ["app", "guest"], shared: ["hypervisor", "kernel", "hardware"] },
};

/** The app that the lessons build and launch. */
export const SUBJECT = "hello-flask";

/** What is known of this machine; null where it was not looked up or measured. */
export interface Ground {
  machine: Machine | null;
  capabilities: Capability[] | null;
  images: ImageRow[] | null;
  /** Rests on what was measured here, never on recordings. */
  guide: Guide | null;
}

export interface Fact {
  what: string;
  is: string;
}

/** What a layer is here. */
export function facts(lane: LaneId, layer: LayerId, ground: Ground, rows: readonly InstanceRow[]): Fact[] {
  const words = say.lessons.architecture;
  const found = (id: string): string | null => {
    const detail = ground.capabilities?.find((one) => one.id === id)?.detail;
    return detail === undefined ? null : said(detail);
  };
  const { machine } = ground;
  const running = rows.filter((row) => row.backend === lane && isUp(row)).map((row) => row.name);
  const all: Record<LayerId, (readonly [string, string | null | undefined])[]> = {
    hardware: [
      [words.processor, machine && `${machine.cpu}, ${say.common.cores(machine.cores)}`],
      [words.memory, machine && text(bytes(machine.memory_bytes))],
      [words.beneath, machine?.virtualised && words.itself(machine.virtualised)],
    ],
    kernel: [
      [words.system, machine?.os],
      [words.kernel, machine && `Linux ${machine.kernel}`],
    ],
    engine: [
      [words.engine, found("container_engine")],
      [words.runsNow, running.length > 0 ? running.join(", ") : words.nothing],
    ],
    hypervisor: [
      [words.program, found("qemu")],
      [words.help, accelerated(ground.capabilities)],
      [words.runsNow, running.length > 0 ? running.join(", ") : words.nothing],
    ],
    guest: [[words.kernel, found("vm_kernel")]],
    app: [
      [words.image, image(ground.images)],
      [words.firstAnswer, answer(lane, ground.guide) ?? words.unmeasured],
    ],
  };
  return all[layer].flatMap(([what, is]) => (is ? [{ what, is }] : []));
}

/** What so many apps take in a lane; null where it was not measured here. */
export function taken(lane: LaneId, count: number, guide: Guide | null): { memory: number; disk: number | null } | null {
  const bounds = fit(lane, guide)?.bounds ?? [];
  const each = (what: "memory" | "disk") => bounds.find((bound) => bound.what === what)?.each;
  const [memory, disk] = [each("memory"), each("disk")];
  return memory === undefined ? null : { memory: memory * count, disk: disk === undefined ? null : disk * count };
}

function fit(lane: LaneId, guide: Guide | null): LaneFit | undefined {
  return guide?.lanes.find((one) => one.backend === lane);
}

function answer(lane: LaneId, guide: Guide | null): string | null {
  const ns = fit(lane, guide)?.first_response_ns;
  return ns == null ? null : text(duration(ns));
}

function image(images: ImageRow[] | null): string | null {
  if (!images) return null;
  const row = images.find((one) => one.name.split("/").at(-1) === SUBJECT);
  return row ? say.lessons.architecture.imageIs(SUBJECT, text(bytes(row.size_bytes)), row.layers) : say.lessons.architecture.notBuilt(SUBJECT);
}

function accelerated(capabilities: Capability[] | null): string | null {
  const is = (id: string) => capabilities?.some((one) => one.id === id && one.status === "ok") ?? false;
  if (is("vm_kvm")) return say.lessons.architecture.kvm;
  return is("vm_tcg") ? say.lessons.architecture.emulated : null;
}
