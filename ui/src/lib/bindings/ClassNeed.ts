export type ClassNeed = { count: number, fits: boolean, memory_bytes: number, disk_bytes: number | null, start_ns: number | null };
