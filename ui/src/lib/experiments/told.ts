// What an experiment says of itself, in the language that is shown.

import type { Description } from "../bindings/Description";
import { say } from "../messages";
import type { Told } from "../messages/en/experiments";

/** In the catalogue's words where it has any, else in the program's. */
export function told(description: Description): Told {
  const { told: all } = say.experiments;
  return Object.hasOwn(all, description.id) ? (all[description.id] ?? description) : description;
}
