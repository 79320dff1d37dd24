import { expect, it } from "vitest";
import { TextSize } from "./text-size.svelte";

it("makes all of it larger on a very large window, whatever was chosen", () => {
  const kept = new Map<string, string>();
  const size = new TextSize({ getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) });
  const drawn = () => document.documentElement.style.fontSize;
  expect(drawn()).toBe("100%");
  size.fit(1920);
  expect(drawn()).toBe("100%");
  size.fit(3840);
  expect([drawn(), size.drawn, size.scale]).toEqual(["150%", 1.5, 1]);
  // What is kept is what was chosen.
  size.set(1.25);
  expect([drawn(), kept.get("text-size")]).toEqual(["125%", "1.25"]);
  size.fit(2560);
  expect(drawn()).toBe("150%");
});
