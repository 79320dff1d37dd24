import { plural } from "../plural";

const n = plural("en");

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const common = {
  copy: "copy",
  copied: "copied",
  copiedAloud: "Copied",
  copyByHand: "select and copy by hand",
  copyCommand: "Copy the command",
  dismiss: "dismiss",
  cancel: "Cancel",
  cancelling: "Cancelling…",
  remove: "Remove",
  open: "Open",
  start: "Start",
  starting: "Starting…",
  stop: "Stop",
  run: "Run",
  runAgain: "Run again",
  actions: "Actions",
  yes: "yes",
  no: "no",
  container: "a container",
  virtualMachine: "a virtual machine",
  bareProcess: "a bare process",
  of: (part: string | number, all: string | number) => `${part} of ${all}`,
  listed: (list: string[]) => list.join("; "),
  /** A day, its month from nought, and the time of day. */
  moment: (day: number, month: number, year: number, clock: string) => `${day} ${MONTHS[month]} ${year}, ${clock}`,
  cores: (count: number) => n(count, `${count} core`, `${count} cores`),
  trials: (count: number) => n(count, `${count} trial`, `${count} trials`),
  writing: "Writing…",
  writtenTo: (file: string) => `Written to ${file}.`,
  givenBack: (amount: string) => `${amount} given back.`,
  asPicture: "as a picture",
  asTable: "as a table",
};
