import { describe, expect, it } from "vitest";
import type { RunWish } from "./bindings/RunWish";
import { command, runCommand } from "./command";

describe("commands", () => {
  it("are read back by a shell as they were meant", () => {
    expect(command("rm", "it's; rm -rf /")).toBe(`tandem rm 'it'\\''s; rm -rf /'`);
    expect(command("sample", "copy", "x", "~/my apps/x")).toBe("tandem sample copy x ~/'my apps/x'");
  });

  it("leave out what was not filled in", () => {
    const wish: RunWish = { image: "hello-flask", backend: "vm", name: "", ports: ["80:8080", " "], env: ["A=b c"], volumes: [], memory: "256m", cpus: "" };
    expect(runCommand(wish)).toBe("tandem run -d --backend vm -p 80:8080 -e 'A=b c' --memory 256m hello-flask");
  });
});
