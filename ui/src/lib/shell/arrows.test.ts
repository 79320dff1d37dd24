import { expect, it } from "vitest";
import { led, tablist } from "./arrows";

it("leads round, and to both ends", () => {
  expect(["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "Home", "End", "a"].map((key) => led(key, 0, 3))).toEqual([1, 1, 2, 2, 0, 2, null]);
  expect(led("ArrowRight", 2, 3)).toBe(0);
  expect(led("Home", 0, 0)).toBeNull();
});

it("moves through tabs and chooses them, but leaves the system's keys alone", () => {
  const host = document.createElement("div");
  const chosen: string[] = [];
  for (const name of ["a", "b"]) {
    const tab = document.createElement("button");
    tab.setAttribute("role", "tab");
    tab.onclick = () => chosen.push(name);
    host.append(tab);
  }
  document.body.append(host);
  const leave = tablist(host);
  (host.firstChild as HTMLElement).focus();
  const press = (init: KeyboardEventInit) => host.dispatchEvent(new KeyboardEvent("keydown", init));
  press({ key: "ArrowRight" });
  expect(document.activeElement).toBe(host.lastChild);
  press({ key: "ArrowRight", ctrlKey: true });
  press({ key: "ArrowRight" });
  expect(chosen).toEqual(["b", "a"]);
  leave();
  press({ key: "ArrowRight" });
  expect(chosen).toHaveLength(2);
  host.remove();
});
