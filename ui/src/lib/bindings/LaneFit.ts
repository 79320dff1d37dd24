import type { Accelerator } from "./Accelerator";
import type { BackendKind } from "./BackendKind";
import type { Bound } from "./Bound";
import type { ClassNeed } from "./ClassNeed";
import type { Scarce } from "./Scarce";
export type LaneFit = { lane: string, backend: BackendKind, accelerator: Accelerator | null, fits: number, binding: Scarce, bounds: Array<Bound>, first_response_ns: number | null, class: ClassNeed };
