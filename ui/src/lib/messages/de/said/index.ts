// What the program says, in German. Fetched when it is shown.

import { Phrases } from "../../reword";
import { lane } from "../lane";
import { bundles } from "./bundles";
import { charts } from "./charts";
import { checks } from "./checks";
import { doctor } from "./doctor";
import { errors } from "./errors";
import { guide } from "./guide";
import { lessons } from "./lessons";
import { progress } from "./progress";
import { results } from "./results";
import { verdicts } from "./verdicts";
import { warnings } from "./warnings";

/** Parts of a ledger as a chart names them. */
const parts = Object.entries(lane.parts).map(([said, words]) => [said.toLowerCase().replaceAll(", ", " "), words] as const);

export const sentences = new Phrases([...verdicts, ...warnings, ...doctor, ...errors, ...progress, ...checks, ...guide, ...results, ...bundles, ...lessons]);
export const inCharts = new Phrases([...charts, ...parts]);
