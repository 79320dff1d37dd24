import { expect, it } from "vitest";
import type { SnapshotRow } from "../bindings/SnapshotRow";
import { treeOf } from "./snapshot-tree";

const row = (name: string, parent: string | null) => ({ name, parent }) as SnapshotRow;
const drawn = (rows: SnapshotRow[]) => treeOf(rows).map(({ row, depth }) => `${"-".repeat(depth)}${row.name}`);

it("hangs each snapshot below the one that it was made after", () => {
  expect(drawn([row("a", null), row("b", "a"), row("other", null), row("c", "b"), row("d", "a")])).toEqual(["a", "-b", "--c", "-d", "other"]);
});

it("loses none whose parent is gone or goes in a circle", () => {
  expect(drawn([row("kept", "removed"), row("x", "y"), row("y", "x")])).toEqual(["kept", "x", "y"]);
  expect(drawn([])).toEqual([]);
});
