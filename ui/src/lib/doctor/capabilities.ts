// What the doctor's findings are called, and in which order they are read.

import type { Capability } from "../bindings/Capability";
import { known, say } from "../messages";

/** A capability's name for people. */
export function title(id: string): string {
  const name = known(say.doctor.titles, id);
  if (name) return name;
  const words = id.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What is missing first, then what is limited; otherwise as the program lists them. */
export function inOrder(capabilities: Capability[]): Capability[] {
  const rank = { missing: 0, limited: 1, ok: 2 };
  return capabilities.toSorted((a, b) => rank[a.status] - rank[b.status]);
}

/** The command in a mend that is written as a sentence, the mend itself where it is a command; null where there is none to type. */
export function commandOf(fix: string): string | null {
  return /`([^`]+)`/.exec(fix)?.[1] ?? (/^(sudo|apt-get|export|systemctl|tandem) /.test(fix) ? fix : null);
}
