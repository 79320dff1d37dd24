import type { BundleRequest } from "./BundleRequest";
import type { ExperimentRequest } from "./ExperimentRequest";
import type { GiftKind } from "./GiftKind";
import type { Spot } from "./Spot";
export type Errand = { "what": "pull", reference: string } | { "what": "build", folder: string } | { "what": "database" } | { "what": "experiment", request: ExperimentRequest } | { "what": "resume", run: string } | { "what": "lesson", id: string, spot: Spot, number: number } | { "what": "gift", name: string, gift: GiftKind, file: string } | { "what": "create_bundle", request: BundleRequest, file: string } | { "what": "open_bundle", file: string };
