import type { Scarce } from "./Scarce";
export type Bound = { what: Scarce, each: number, n: number, fits: number };
