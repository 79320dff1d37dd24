// The only file that knows Tauri.

import { Channel, invoke } from "@tauri-apps/api/core";
import type { Frame } from "../bindings/Frame";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Host } from "./index";

export const tauriHost: Host = {
  opening: () => invoke("opening"),
  doctor: () => invoke("doctor"),
  subjects: () => invoke("subjects"),
  defaults: (subject) => invoke("defaults", { subject }),
  commandFor: (request) => invoke("command_for", { request }),
  launch: (request, view) => invoke("launch", { request, view }),
  watch: (onFrame) => {
    const frames = new Channel<Frame>();
    frames.onmessage = onFrame;
    return invoke("watch", { frames });
  },
  cancel: () => invoke("cancel"),
  draw: (view) => invoke("draw", { view }),
  followInstances: (onRows) => {
    const rows = new Channel<InstanceRow[]>();
    rows.onmessage = onRows;
    return invoke("follow_instances", { rows });
  },
  start: (name) => invoke("start", { name }),
  stop: (name) => invoke("stop", { name }),
  discard: (name) => invoke("discard", { name }),
  open: (name) => invoke("open", { name }),
};
