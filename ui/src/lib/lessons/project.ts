// The project that a lesson puts into its folder. Pure.

import type { LessonView } from "../bindings/LessonView";
import type { Spot } from "../bindings/Spot";

const COPIED = /^tandem sample copy \S+ ([\w.-]+)$/;

/** Its name and folder, once a command has put it there. */
export function projectOf(view: LessonView | null, hasRun: (spot: Spot, number: number) => boolean): { name: string; folder: string } | null {
  for (const [step, { blocks }] of view?.lesson.steps.entries() ?? []) {
    for (const [block, one] of blocks.entries()) {
      const commands = one.type === "run" ? one.commands : [];
      const at = commands.findIndex((line, number) => COPIED.test(line) && hasRun({ step, block }, number));
      const name = COPIED.exec(commands[at] ?? "")?.[1];
      if (view && name) return { name, folder: `${view.folder}/${name}` };
    }
  }
  return null;
}
