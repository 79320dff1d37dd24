export type Room = { fingerprint: string, memory_bytes: number, disk_bytes: number, cores: number };
