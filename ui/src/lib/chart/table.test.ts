import { mount, tick, unmount } from "svelte";
import { expect, it } from "vitest";
import DataTable from "./DataTable.svelte";

it("can be scrolled by the keyboard, and says what it is", async () => {
  const table = { caption: "From the request to the first answer", header: ["lane", "time"], rows: [["container", "0.71 s"]] };
  const view = mount(DataTable, { target: document.body, props: { table } });
  await tick();
  const region = document.querySelector<HTMLElement>("[role=region]");
  expect([region?.tabIndex, region?.getAttribute("aria-label")]).toEqual([0, table.caption]);
  void unmount(view);
});
