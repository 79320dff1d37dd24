// Numbers as people read them: in English the same words as in the charts, the
// terminal and the report (crate `model`, module `format`).

import type { Unit } from "./bindings/Unit";
import { say } from "./messages";
import { shown } from "./messages/language.svelte";

/** A number and its unit, apart, for a big number with a small unit. */
export interface Quantity {
  value: string;
  unit: string;
}

const FORMATS = new Map<string, Intl.NumberFormat>();

/** A number with so many digits after the sign that the language has for it. */
export function decimal(value: number, digits: number): string {
  const key = `${shown.language} ${digits}`;
  let format = FORMATS.get(key);
  if (!format) {
    format = new Intl.NumberFormat(shown.language, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
    FORMATS.set(key, format);
  }
  // Rounded as everywhere else, then written.
  return format.format(Number(value.toFixed(digits)));
}

/** A moment (RFC 3339) in the person's time zone, with the month in letters: `29 Nov 2026, 14:05`. */
export function moment(time: string): string {
  const at = new Date(time);
  const clock = [at.getHours(), at.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
  return say.common.moment(at.getDate(), at.getMonth(), at.getFullYear(), clock);
}

/** Nanoseconds as `850 ns`, `1.2 ms`, `0.34 s`, `8.31 s`, `124.3 s`. */
export function duration(ns: number): Quantity {
  const size = Math.abs(ns);
  if (size < 999.5) return { value: decimal(ns, 0), unit: "ns" };
  if (size < 999.5e3) return { value: decimal(ns / 1e3, 0), unit: "µs" };
  if (size < 9.95e6) return { value: decimal(ns / 1e6, 1), unit: "ms" };
  if (size < 99.5e6) return { value: decimal(ns / 1e6, 0), unit: "ms" };
  return seconds(ns);
}

/** Nanoseconds in seconds whatever their size, so that a ticking number keeps its unit. */
export function seconds(ns: number): Quantity {
  return { value: decimal(ns / 1e9, Math.abs(ns) < 99.995e9 ? 2 : 1), unit: "s" };
}

/** Bytes as `612 B`, `27.4 MiB`, `341 MiB`, `1.5 GiB`. */
export function bytes(amount: number): Quantity {
  let value = amount;
  let unit = "B";
  for (const larger of ["KiB", "MiB", "GiB", "TiB"]) {
    if (Math.abs(value) < 1023.5) break;
    value /= 1024;
    unit = larger;
  }
  return { value: decimal(value, unit !== "B" && Math.abs(value) < 99.95 ? 1 : 0), unit };
}

/** Processors busy as a share of one: `6 %`, `0.4 %`, `150 %`. */
export function share(cpus: number): Quantity {
  const percent = cpus * 100;
  return { value: decimal(percent, Math.abs(percent) < 9.95 && percent !== 0 ? 1 : 0), unit: "%" };
}

/** A quotient: `1.30`, `24.4`, `530`. */
export function ratio(value: number): string {
  const size = Math.abs(value);
  if (size >= 99.95) return decimal(value, 0);
  if (size >= 9.995) return decimal(value, 1);
  return size >= 0.0995 || size === 0 ? decimal(value, 2) : decimal(value, 3);
}

/** Two quantities of one kind as an interval that names its unit once. */
export function interval([low, high]: readonly [number, number], format: (value: number) => Quantity): string {
  const [a, b] = [format(low), format(high)];
  return a.unit === b.unit ? `${a.value}–${b.value} ${b.unit}` : `${text(a)} – ${text(b)}`;
}

/** Value and unit in one line; the space does not break. */
export function text(quantity: Quantity): string {
  return `${quantity.value}\u00a0${quantity.unit}`;
}

/** A digest short enough to show: `9f3c1d41ab…`. */
export function shortDigest(digest: string): string {
  const hex = digest.slice(digest.indexOf(":") + 1);
  return hex.length > 12 ? hex.slice(0, 12) : hex;
}

/** Milliseconds as whole or tenth seconds for a step's clock: `0.4 s`, `12 s`. */
export function stepTime(ms: number): string {
  return ms < 9950 ? `${decimal(ms / 1000, 1)}\u00a0s` : `${decimal(ms / 1000, 0)}\u00a0s`;
}

/** A value of any unit in one line; yes or no where it is one. */
export function amount(value: number, unit: Unit): string {
  if (unit === "ns") return text(duration(value));
  if (unit === "bytes") return text(bytes(value));
  if (unit === "ratio") return `${ratio(value)}×`;
  if (unit === "boolean" && (value === 0 || value === 1)) return value === 1 ? say.common.yes : say.common.no;
  const number = Number.isInteger(value) || Math.abs(value) >= 999.5 ? decimal(value, 0) : ratio(value);
  return unit === "per_second" ? `${number}\u00a0/s` : number;
}

/** An interval of values of any unit. */
export function amounts(ci95: readonly [number, number], unit: Unit): string {
  if (unit === "ns") return interval(ci95, duration);
  if (unit === "bytes") return interval(ci95, bytes);
  const [low, high] = [amount(ci95[0], unit), amount(ci95[1], unit)];
  return low === high ? low : `${low}–${high}`;
}
