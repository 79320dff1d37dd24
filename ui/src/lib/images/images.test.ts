import { mount, tick, unmount } from "svelte";
import { describe, expect, it, vi } from "vitest";
import type { ImageRow } from "../bindings/ImageRow";
import type { Pulling } from "../bindings/Pulling";
import type { RunWish } from "../bindings/RunWish";
import type { Host } from "../host";
import ImagesPage from "./ImagesPage.svelte";
import { Postgres } from "../postgres/postgres.svelte";
import { Images } from "./images.svelte";

const row = (name: string): ImageRow => ({ name, tag: "latest", digest: `sha256:${"a".repeat(64)}`, size_bytes: 4096, unique_bytes: 1024, created_at: null, layers: 2 });

function images(own: Partial<Host> = {}): Images {
  return new Images({ images: vi.fn().mockResolvedValue([row("<b>bold</b>")]), ...own } as unknown as Host);
}

describe("the Images page", () => {
  it("shows names as text and opens one", async () => {
    const imageDetail = vi.fn().mockResolvedValue({ image: "x", digest: "sha256:1", size_bytes: 1, unique_bytes: 1, layers: [], history: [], command: ["python"], ports: ["8080/tcp"] });
    const page = images({ imageDetail });
    await page.refresh();
    const view = mount(ImagesPage, { target: document.body, props: { images: page, postgres: new Postgres({} as Host), instances: [] } });
    expect(document.querySelector("b b, table b")).toBeNull();
    expect(document.querySelector("[data-testid='image-row-<b>bold</b>']")).not.toBeNull();
    await page.choose("<b>bold</b>:latest");
    expect(page.command).toBe("tandem image tree '<b>bold</b>:latest'");
    page.prepareRun("<b>bold</b>:latest");
    expect(page.wish?.ports).toEqual(["8080:8080"]);
    void unmount(view);
  });

  it("gives the focus back when what was filled in runs", async () => {
    HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
      this.open = true;
    };
    const page = images({ runImage: vi.fn().mockResolvedValue("web") });
    await page.refresh();
    const view = mount(ImagesPage, { target: document.body, props: { images: page, postgres: new Postgres({} as Host), instances: [] } });
    const button = document.querySelector<HTMLElement>("[data-testid=image-run]")!;
    button.focus();
    button.click();
    await tick();
    document.querySelector<HTMLElement>("[data-testid=run-name]")?.focus();
    await page.run();
    await tick();
    expect([document.querySelector("dialog"), document.activeElement === button]).toEqual([null, true]);
    void unmount(view);
  });

  it("keeps what was typed when a pull fails, and shows its layers meanwhile", async () => {
    let fail: (reason: unknown) => void = () => {};
    const pull = vi.fn((_: string, onProgress: (p: Pulling) => void) => {
      onProgress({ layers: [{ digest: "sha256:1", done: 1, total: 2, state: "moving" }], note: null });
      return new Promise<void>((_, reject) => (fail = reject));
    });
    const page = images({ pull });
    page.reference = "nowhere/none";
    const going = page.pull();
    expect(page.pulling?.layers[0]?.done).toBe(1);
    expect(page.command).toBe("tandem pull nowhere/none");
    fail({ code: "not_found", message: "no such image" });
    await going;
    expect(page.failure?.code).toBe("not_found");
    expect(page.reference).toBe("nowhere/none");
    expect(page.pulling).toBeNull();
  });

  it("takes a cancel for no error", async () => {
    const page = images({ pull: vi.fn().mockRejectedValue({ code: "cancelled", message: "" }) });
    page.reference = "big";
    await page.pull();
    expect(page.failure).toBeNull();
    expect(page.note).toContain("Cancelled");
  });

  it("shows a pull that a page before it began", async () => {
    const joinErrand = vi.fn((_kind: string, on: (progress: Pulling) => void) => {
      on({ layers: [{ digest: "sha256:1", done: 1, total: 2, state: "moving" }], note: null });
      return Promise.reject({ code: "cancelled", message: "" });
    });
    const page = images({ joinErrand: joinErrand as unknown as Host["joinErrand"] });
    const joined = page.rejoin("postgres:16");
    expect([page.reference, page.pulling?.layers.length, joinErrand.mock.calls[0]?.[0]]).toEqual(["postgres:16", 1, "pull"]);
    await joined;
    expect([page.pulling, page.failure]).toEqual([null, null]);
  });

  it("closes no dialog but the one whose image has started", async () => {
    let started: (name: string) => void = () => {};
    const page = images({ runImage: vi.fn(() => new Promise<string>((resolve) => (started = resolve))) });
    page.prepareRun("first");
    const running = page.run();
    page.wish = null;
    page.prepareRun("second");
    started("first-1");
    await running;
    expect([(page.wish as RunWish | null)?.image, page.note?.includes("first-1")]).toEqual(["second", true]);
  });
});
