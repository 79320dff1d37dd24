import { describe, expect, it } from "vitest";
import { bytes, duration, interval, ratio, share, shortDigest, stepTime, text } from "./format";

describe("numbers read as in the charts", () => {
  it.each([
    [850, "850 ns"],
    [412e3, "412 µs"],
    [1.24e6, "1.2 ms"],
    [12.4e6, "12 ms"],
    [99.6e6, "0.10 s"],
    [340e6, "0.34 s"],
    [8.31e9, "8.31 s"],
    [124.3e9, "124.3 s"],
  ])("%d ns", (ns, words) => expect(text(duration(ns)).replace("\u00a0", " ")).toBe(words));

  it.each([
    [612, "612 B"],
    [104448, "102 KiB"],
    [27.4 * 2 ** 20, "27.4 MiB"],
    [341.2 * 2 ** 20, "341 MiB"],
    [1.5 * 2 ** 30, "1.5 GiB"],
  ])("%d bytes", (amount, words) => expect(text(bytes(amount)).replace("\u00a0", " ")).toBe(words));

  it("writes shares, quotients and intervals", () => {
    expect(share(0.004)).toEqual({ value: "0.4", unit: "%" });
    expect(share(1.5)).toEqual({ value: "150", unit: "%" });
    expect(ratio(24.41)).toBe("24.4");
    expect(ratio(529.6)).toBe("530");
    expect(ratio(1.3)).toBe("1.30");
    expect(interval([330e6, 360e6], duration)).toBe("0.33–0.36 s");
    expect(interval([95e6, 105e6], duration)).toBe("95\u00a0ms – 0.10\u00a0s");
  });

  it("shortens", () => {
    expect(shortDigest("sha256:0123456789abcdef")).toBe("0123456789ab");
    expect(stepTime(420)).toBe("0.4\u00a0s");
    expect(stepTime(12_300)).toBe("12\u00a0s");
  });
});
