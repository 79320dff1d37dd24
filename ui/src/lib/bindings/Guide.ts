import type { LaneFit } from "./LaneFit";
import type { Room } from "./Room";
import type { UsedResult } from "./UsedResult";
export type Guide = { subject: string, room: Room, lanes: Array<LaneFit>, left_out: Array<string>, advice: Array<string>, results: Array<UsedResult> };
