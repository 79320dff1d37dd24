import { describe, expect, it } from "vitest";
import type { ExperimentRequest } from "./bindings/ExperimentRequest";
import type { RunWish } from "./bindings/RunWish";
import { command, compareCommand, experimentCommand, runCommand } from "./command";

describe("commands", () => {
  it("are read back by a shell as they were meant", () => {
    expect(command("rm", "it's; rm -rf /")).toBe(`tandem rm 'it'\\''s; rm -rf /'`);
    expect(command("sample", "copy", "x", "~/my apps/x")).toBe("tandem sample copy x ~/'my apps/x'");
  });

  it("leave out what was not filled in", () => {
    const wish: RunWish = { image: "hello-flask", backend: "vm", name: "", ports: ["80:8080", " "], env: ["A=b c"], volumes: [], memory: "256m", cpus: "" };
    expect(runCommand(wish)).toBe("tandem run -d --backend vm -p 80:8080 -e 'A=b c' --memory 256m hello-flask");
  });

  it("have no number where none stands in its field", () => {
    const usual = { experiment: "startup", subject: "app", lanes: ["container"], trials: 6, warmup: 1, seed: null, port: null, time_limit_s: 60, keep: false, prediction: null, resources: { memory_bytes: null, milli_cpus: null, pids: null } } as unknown as ExperimentRequest;
    const empty = { ...usual, trials: null, warmup: null } as unknown as ExperimentRequest;
    expect(compareCommand(empty, usual)).toBe("tandem compare app");
    expect(experimentCommand(empty)).toBe("tandem experiment run startup --subject app --lanes container");
    expect(compareCommand({ ...usual, warmup: 0 }, usual)).toBe("tandem compare app --trials 6 --warmup 0");
  });
});
