export type UsedResult = { id: string, experiment: string, started_at: string };
