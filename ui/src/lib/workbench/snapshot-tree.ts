// Snapshots as a tree: each below the one that it was made after. Pure.

import type { SnapshotRow } from "../bindings/SnapshotRow";

export interface Branch {
  row: SnapshotRow;
  /** How deep it lies; 0 for one without a parent here. */
  depth: number;
}

/** All of them in the order of the tree, siblings in the order in which they came. */
export function treeOf(rows: readonly SnapshotRow[]): Branch[] {
  const names = new Set(rows.map((row) => row.name));
  const found: Branch[] = [];
  const add = (parent: string | null, depth: number): void => {
    for (const row of rows) {
      const above = row.parent !== null && names.has(row.parent) ? row.parent : null;
      if (above !== parent || found.some((one) => one.row === row)) continue;
      found.push({ row, depth });
      add(row.name, depth + 1);
    }
  };
  add(null, 0);
  // Whoever names each other as parents hangs on nothing.
  return [...found, ...rows.filter((row) => !found.some((one) => one.row === row)).map((row) => ({ row, depth: 0 }))];
}
