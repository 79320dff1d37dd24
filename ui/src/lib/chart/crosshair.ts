// From a place on a chart to the data there, by the scales that came with it.

import type { BackendKind } from "../bindings/BackendKind";
import type { Rect } from "../bindings/Rect";
import type { Scales } from "../bindings/Scales";

/** A line of a chart: points by rising x. */
export interface Series {
  lane: string;
  name: string;
  /** Colour of the lane. */
  tone: BackendKind;
  points: readonly (readonly [number, number])[];
}

export interface Reading {
  lane: string;
  name: string;
  tone: Series["tone"];
  y: number;
}

/** Where a pointer is in the data. */
export interface Spot {
  /** Value on the horizontal axis. */
  x: number;
  /** The same in the picture's pixels. */
  px: number;
  plot: Rect;
  /** The lane whose panel it is, when panels belong to lanes. */
  lane: string | null;
}

/** The spot under a pointer in the picture's pixels; null outside the plots. */
export function place(scales: Scales, pointer: { x: number; y: number }): Spot | null {
  for (const panel of scales.panels) {
    const { x, y, width, height } = panel.plot;
    const inside = pointer.x >= x && pointer.x <= x + width && pointer.y >= y && pointer.y <= y + height;
    if (!inside || width <= 0) continue;
    const [low, high] = panel.x.domain;
    return { x: low + ((pointer.x - x) / width) * (high - low), px: pointer.x, plot: panel.plot, lane: panel.lane };
  }
  return null;
}

/** The value of each line nearest to `x`, where the line reaches that far. */
export function nearest(series: readonly Series[], x: number, lane: string | null): Reading[] {
  return series.flatMap(({ points, ...line }) => {
    const [first, last] = [points[0], points.at(-1)];
    if (!first || !last || (lane !== null && line.lane !== lane)) return [];
    const gap = points.length > 1 ? (last[0] - first[0]) / (points.length - 1) : 0;
    if (x < first[0] - gap || x > last[0] + gap) return [];
    let best = first;
    for (const point of points) if (Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
    return [{ lane: line.lane, name: line.name, tone: line.tone, y: best[1] }];
  });
}
