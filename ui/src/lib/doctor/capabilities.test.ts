import { mount, unmount } from "svelte";
import { describe, expect, it } from "vitest";
import Ticked from "../lessons/Ticked.svelte";
import { commandOf } from "./capabilities";

describe("what mends a machine", () => {
  it("is copied as a command, also out of a sentence", () => {
    expect(commandOf("apt-get install criu")).toBe("apt-get install criu");
    expect(commandOf("install a CRIU that knows this kernel")).toBeNull();
    expect(commandOf("start it with `systemctl start docker`, or name its socket in DOCKER_HOST")).toBe("systemctl start docker");
  });

  it("shows a mark without another as it is", () => {
    const view = mount(Ticked, { target: document.body, props: { text: "`a` but Assertion `ret == x' failed" } });
    expect([...document.querySelectorAll("code")].map((one) => one.textContent)).toEqual(["a"]);
    expect(document.body.textContent).toBe("a but Assertion `ret == x' failed");
    void unmount(view);
  });
});
