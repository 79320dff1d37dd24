import { expect, it } from "vitest";
import type { ExperimentRequest } from "../bindings/ExperimentRequest";
import { memoryMiB, processors, setLane, setMemory, setProcessors } from "./options";

it("keeps lanes in the order in which they are shown", () => {
  expect(setLane(["container", "vm/micro"], "process", true)).toEqual(["container", "vm/micro", "process"]);
  expect(setLane(["vm/micro"], "container", true)).toEqual(["container", "vm/micro"]);
  expect(setLane(["container", "vm/micro@tcg"], "container", false)).toEqual(["vm/micro@tcg"]);
});

it("reads limits as people write them", () => {
  const request = { resources: { memory_bytes: null, milli_cpus: null, pids: null } } as ExperimentRequest;
  expect([memoryMiB(request), processors(request)]).toEqual(["", ""]);
  const usual = { memory_bytes: 2 ** 29, milli_cpus: 2000, pids: null };
  setMemory(request, "256", usual);
  setProcessors(request, "1.5", usual);
  expect(request.resources).toMatchObject({ memory_bytes: 256 * 2 ** 20, milli_cpus: 1500 });
  expect([memoryMiB(request), processors(request)]).toEqual([256, 1.5]);
  setMemory(request, "", usual);
  setProcessors(request, "nonsense", usual);
  expect(request.resources).toMatchObject({ memory_bytes: 2 ** 29, milli_cpus: 2000 });
});
