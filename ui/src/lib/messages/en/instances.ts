import type { InstanceState } from "../../bindings/InstanceState";

export const instances = {
  heading: "Instances of this home",
  name: "Name",
  lane: "Lane",
  image: "Image",
  state: "State",
  ports: "Ports",
  states: {
    created: "created",
    starting: "starting",
    running: "running",
    paused: "paused",
    restarting: "restarting",
    exited: "exited",
  } satisfies Record<InstanceState, string>,
  exited: (code: number) => `exited (${code})`,
};
