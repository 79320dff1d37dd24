export type Scarce = "memory" | "disk" | "processors";
