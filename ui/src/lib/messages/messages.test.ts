import { afterEach, describe, expect, it } from "vitest";
import { amount, bytes, duration, interval, moment, stepTime, text } from "../format";
import { CATALOGUES, say } from ".";
import { Language, LANGUAGES, ofSystem, shown } from "./language.svelte";

/** Words that are the same in both languages: names, marks and units. */
const ALIKE = new Set([
  "Images", "Image", "Ports", "Volumes", "Name", "System", "Format", "JSON", "CSV", "Markdown", "QEMU", "Container", "Docker", "Podman", "Terminal", "Bytes", "Experiment",
  "Registry", "Registries", "Proxy", "Kernel", "Engine", "Hypervisor", "Hardware", "Downloads", "Pause", "In", "Virtual machine · micro", "Virtual machine · full",
]);

/** Every message with its place. */
function messages(part: unknown, place: string): [string, unknown][] {
  if (typeof part !== "object" || part === null) return [[place, part]];
  return Object.entries(part).flatMap(([key, value]) => messages(value, `${place}.${key}`));
}

const memory = (): Pick<Storage, "getItem" | "setItem"> => {
  const kept = new Map<string, string>();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) };
};

afterEach(() => {
  shown.language = "en";
});

describe("every language", () => {
  const english = new Map(messages(CATALOGUES.en, ""));
  for (const { id } of LANGUAGES.filter((one) => one.id !== "en")) {
    it(`${id} has words of its own for everything`, () => {
      for (const [place, message] of messages(CATALOGUES[id], "")) {
        const original = english.get(place);
        if (typeof message !== "string" || typeof original !== "string") continue;
        expect(message === "", place).toBe(original === "");
        expect(message === original && !ALIKE.has(message) && /\p{L}{2}/u.test(message), `${place}: ${message}`).toBe(false);
      }
    });

    it(`${id} keeps every value that a message is given`, () => {
      const values = [41, 42, 43];
      for (const [place, message] of messages(CATALOGUES[id], "")) {
        const original = english.get(place);
        if (typeof message !== "function" || typeof original !== "function") continue;
        // What is left out in English may be left out here, and nothing else.
        const said = (speak: unknown) => values.filter((value) => spoken(speak, values).includes(String(value)));
        expect(said(message), place).toEqual(expect.arrayContaining(said(original)));
      }
    });
  }
});

/** A message with numbers for its values; lists where it joins them. */
function spoken(message: unknown, values: number[]): string {
  const speak = message as (...values: unknown[]) => unknown;
  for (const given of [values, values.map((value) => [value])]) {
    try {
      return JSON.stringify(speak(...given)) ?? "";
    } catch {
      // It wants them otherwise.
    }
  }
  return "";
}

describe("the language", () => {
  it("is the system's until another one is chosen, and is kept", () => {
    expect(ofSystem(["de-AT", "en"])).toBe("de");
    expect(ofSystem(["fr-FR", "de"])).toBe("de");
    expect(ofSystem(["fr", "C"])).toBe("en");
    const storage = memory();
    const language = new Language(storage);
    expect(language.wish).toBe("system");
    language.set("de");
    expect(document.documentElement.lang).toBe("de");
    expect(say.shell.pages.settings).toBe("Einstellungen");
    expect(new Language(storage).wish).toBe("de");
    language.set("system");
    expect(shown.language).toBe("en");
    expect(new Language({ getItem: () => "tlh", setItem: () => {} }).wish).toBe("system");
  });

  it("counts", () => {
    shown.language = "de";
    expect([0, 1, 2].map((count) => say.common.trials(count))).toEqual(["0 Durchgänge", "1 Durchgang", "2 Durchgänge"]);
    shown.language = "en";
    expect([0, 1, 2].map((count) => say.common.trials(count))).toEqual(["0 trials", "1 trial", "2 trials"]);
  });

  it("writes numbers and dates in its way", () => {
    const all = () => [text(duration(8.31e9)), text(bytes(28730982.4)), interval([330e6, 360e6], duration), amount(1.3, "ratio"), amount(1, "boolean"), stepTime(400), amount(12345, "count")];
    expect(all()).toEqual(["8.31\u00a0s", "27.4\u00a0MiB", "0.33–0.36 s", "1.30×", "yes", "0.4\u00a0s", "12345"]);
    shown.language = "de";
    expect(all()).toEqual(["8,31\u00a0s", "27,4\u00a0MiB", "0,33–0,36 s", "1,30×", "ja", "0,4\u00a0s", "12345"]);
  });

  it("writes the month in letters, so that nobody takes it for the day", () => {
    // In the person's time zone, which a bare time is in.
    const times = ["2026-11-29T14:05:59", "2026-03-09T00:00:00"];
    expect(times.map(moment)).toEqual(["29 Nov 2026, 14:05", "9 Mar 2026, 00:00"]);
    shown.language = "de";
    expect(times.map(moment)).toEqual(["29. Nov. 2026, 14:05", "9. März 2026, 00:00"]);
  });
});
