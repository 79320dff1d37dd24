// Whether a database's data outlive its instance: what was seen, in words.

import { say } from "../messages";

/** Where the data are: in a volume, or in the instance itself. */
export type Kept = "volume" | "none";

export interface ProofStep {
  what: "written" | "restarted" | "renewed";
  /** The same as a command. */
  command: string;
  /** Rows in the table; null when the table is gone. */
  rows: number | null;
}

export interface Proof {
  volume: string | null;
  steps: ProofStep[];
  done: boolean;
}

/** A table of its own: what somebody made by hand stays as it was made. */
export const TABLE = "tandem_proof";

export const SURVIVAL = {
  write: "CREATE TABLE IF NOT EXISTS tandem_proof (at timestamptz DEFAULT now()); INSERT INTO tandem_proof DEFAULT VALUES; SELECT count(*) FROM tandem_proof",
  read: "SELECT count(*) FROM tandem_proof",
} as const;

export function rowsWords(rows: number | null): string {
  return rows === null ? say.postgres.gone : say.postgres.rows(rows);
}

/** The sentence that a finished proof supports. */
export function verdict(proof: Proof): string {
  const [before, restarted, renewed] = proof.steps;
  if (!proof.done || !before || !restarted || !renewed) return "";
  const where = say.postgres.withVolume(proof.volume);
  const after = (step: ProofStep) => step.rows !== null && step.rows === before.rows;
  if (after(renewed)) return say.postgres.outlived(where);
  if (after(restarted)) return say.postgres.outlivedRestart(where);
  return say.postgres.lost(where);
}
