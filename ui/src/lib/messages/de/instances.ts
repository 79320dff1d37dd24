import type { Catalogue } from "..";

export const instances: Catalogue["instances"] = {
  heading: "Instanzen in diesem Datenordner",
  name: "Name",
  lane: "Bahn",
  image: "Image",
  state: "Zustand",
  ports: "Ports",
  states: {
    created: "angelegt",
    starting: "startet",
    running: "läuft",
    paused: "pausiert",
    restarting: "startet neu",
    exited: "beendet",
  },
  exited: (code) => `beendet (${code})`,
};
