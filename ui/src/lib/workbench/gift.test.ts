import { mount, tick, unmount } from "svelte";
import { describe, expect, it, vi } from "vitest";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Host } from "../host";
import { Gift, giftCommand } from "./gift.svelte";
import GivePane from "./GivePane.svelte";

const ROW = { name: "web", image: "hello-flask:latest" };

describe("something given to somebody else", () => {
  it("is named after what it is, unless the person named it", () => {
    const gift = new Gift({} as Host);
    gift.suggest(ROW);
    expect(gift.file).toBe("~/web.tandem-instance");
    gift.kind = "image";
    gift.suggest(ROW);
    expect(gift.file).toBe("~/web.tar");
    gift.file = "/stick/mine.tar";
    gift.kind = "bundle";
    gift.suggest(ROW);
    expect(gift.file).toBe("/stick/mine.tar");
  });

  it("is something that the instance has", async () => {
    const gift = new Gift({} as Host);
    gift.kind = "disk";
    const view = mount(GivePane, { target: document.body, props: { gift, row: { ...ROW, profile: null } as InstanceRow, onCommand: () => {} } });
    await tick();
    await tick();
    expect([gift.kind, gift.file]).toEqual(["instance", "~/web.tandem-instance"]);
    void unmount(view);
  });

  it("is a command too", () => {
    expect(giftCommand("instance", ROW, "~/a")).toBe("tandem export -o ~/a web");
    expect(giftCommand("disk", ROW, "~/a")).toBe("tandem export --disk qcow2 -o ~/a web");
    expect(giftCommand("image", ROW, "~/a")).toBe("tandem save --format docker-archive -o ~/a hello-flask:latest");
    expect(giftCommand("bundle", ROW, "~/a")).toBe("tandem bundle create -o ~/a --image hello-flask:latest");
  });

  it("says what was written, or why not, and keeps the name", async () => {
    const give = vi.fn().mockRejectedValueOnce({ code: "usage", message: "it is there already" }).mockResolvedValue({ file: "/home/me/web.tar", bytes: 7, taken_with: "tandem load -i web.tar" });
    const gift = new Gift({ give } as unknown as Host);
    gift.suggest(ROW);
    await gift.give("web");
    expect([gift.failure?.message, gift.given, gift.file]).toEqual(["it is there already", null, "~/web.tandem-instance"]);
    await gift.give("web");
    expect([gift.failure, gift.given?.bytes, gift.busy]).toEqual([null, 7, false]);
  });
});
