// A lesson as slides: a step's words, then its drawing and each of its results as a picture.

import type { Block } from "../bindings/Block";
import type { Lesson } from "../bindings/Lesson";
import type { NamedChart } from "../bindings/NamedChart";
import type { ResultView } from "../bindings/ResultView";

export type Slide =
  | { type: "title"; title: string; summary: string }
  | { type: "words"; step: number; title: string; blocks: Block[] }
  | { type: "picture"; step: number; title: string }
  | { type: "chart"; step: number; title: string; chart: NamedChart };

/** What is told, rather than done at the machine. */
const TOLD: ReadonlySet<Block["type"]> = new Set(["paragraph", "note", "list", "code", "table", "run", "predict", "quiz"]);

export function slidesOf(lesson: Lesson, results: Record<string, ResultView | null>): Slide[] {
  const slides: Slide[] = [{ type: "title", title: lesson.title, summary: lesson.summary }];
  lesson.steps.forEach((step, at) => {
    const title = `${at + 1}. ${step.title}`;
    const blocks = step.blocks.filter((block) => TOLD.has(block.type));
    if (blocks.length > 0) slides.push({ type: "words", step: at, title, blocks });
    for (const block of step.blocks) {
      if (block.type === "picture") slides.push({ type: "picture", step: at, title });
      const charts = block.type === "result" ? (results[block.experiment]?.charts ?? []) : [];
      for (const chart of charts) slides.push({ type: "chart", step: at, title, chart });
    }
  });
  return slides;
}

/** The slide with which a step begins. */
export function slideOf(slides: Slide[], step: number): number {
  return Math.max(slides.findIndex((slide) => slide.type !== "title" && slide.step === step), 0);
}
