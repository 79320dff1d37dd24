// What is said of settings from outside beside the settings themselves. Pure.

import type { Outside } from "../bindings/Outside";
import { say } from "../messages";

/** A mirror, as `registries.json` has it. */
export const EXAMPLE = '{ "docker.io": { "mirrors": ["https://mirror.example/hub"] } }';

/** What follows from what is not set. */
export function about(outside: Outside): string[] {
  const has = (kind: string) => outside.settings.some((setting) => setting.kind === kind);
  const lines: string[] = [];
  if (!has("proxy")) lines.push(say.settings.noProxy);
  if (!has("mirror")) lines.push(say.settings.noMirror);
  if (!outside.settings.some((setting) => setting.kind === "certificates" && setting.of === null)) lines.push(say.settings.ownCertificates);
  return lines;
}
