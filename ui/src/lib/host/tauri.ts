// The only file that knows Tauri.

import { Channel, invoke } from "@tauri-apps/api/core";
import type { Frame } from "../bindings/Frame";
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
  instances: () => invoke("instances"),
  discard: (name) => invoke("discard", { name }),
  open: (name) => invoke("open", { name }),
};
