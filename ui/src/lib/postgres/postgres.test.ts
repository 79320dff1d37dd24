import { mount, tick, unmount } from "svelte";
import { describe, expect, it, vi } from "vitest";
import type { ImageRow } from "../bindings/ImageRow";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Host } from "../host";
import { isPostgres, Postgres } from "./postgres.svelte";
import PostgresCard from "./PostgresCard.svelte";
import { verdict } from "./proof";

const image = (name: string): ImageRow => ({ name, tag: "latest", digest: `sha256:${"a".repeat(64)}`, size_bytes: 1, unique_bytes: 1, created_at: null, layers: 1 });
const counted = (rows: number) => ({ tables: [{ columns: ["count"], rows: [[String(rows)]], count: 1 }], notes: [], error: null, cut: false, elapsed_ns: 1 });
const GONE = { tables: [], notes: [], error: 'ERROR:  relation "tandem_proof" does not exist', cut: false, elapsed_ns: 1 };

function postgres(own: Partial<Host> = {}, volume: string | null = "pgdata") {
  const database = { name: "psql", url: "postgresql://postgres:password%21@127.0.0.1:5435/postgres", volume };
  const host = {
    databaseFolder: vi.fn().mockResolvedValue("/var/lib/postgresql"),
    runImage: vi.fn().mockResolvedValue("psql"),
    awaitDatabase: vi.fn().mockResolvedValue(database),
    database: vi.fn().mockResolvedValue(database),
    queryDatabase: vi.fn().mockResolvedValue(counted(1)),
    discard: vi.fn().mockResolvedValue(undefined),
    restart: vi.fn().mockResolvedValue(undefined),
    cancelWork: vi.fn().mockResolvedValue(undefined),
    ...own,
  } as unknown as Host;
  return { page: new Postgres(host), host };
}

describe("the PostgreSQL try-out", () => {
  it("finds images of that name, wherever they come from", () => {
    const found = ["postgres", "localhost/tandem/postgres", "hello-flask", "mypostgres"].filter((name) => isPostgres({ name }));
    expect(found).toEqual(["postgres", "localhost/tandem/postgres"]);
  });

  it("puts the volume where the image keeps its data, and shows the command", async () => {
    const { page, host } = postgres();
    await page.offer([image("postgres")]);
    expect(page.command).toBe("tandem run -d --name psql -p 5435:5432 -e 'POSTGRES_PASSWORD=password!' -v pgdata:/var/lib/postgresql postgres:latest");
    page.kept = "none";
    expect(page.command).not.toContain("-v");
    await page.start();
    expect(host.runImage).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ volumes: [], ports: ["5435:5432"] }));
    expect(page.database?.url).toContain("password%21");
  });

  it("proves nothing by an error that says nothing of the data, and leaves the tables of others alone", async () => {
    const refused = { ...GONE, error: "FATAL:  the database system is shutting down" };
    const queryDatabase = vi.fn().mockResolvedValueOnce(counted(1)).mockResolvedValue(refused);
    const { page } = postgres({ queryDatabase });
    await page.offer([image("postgres")]);
    await page.start();
    await page.prove();
    expect(page.failure?.message).toContain("shutting down");
    expect(page.proofs.volume?.done).toBe(false);
    // The lesson's own table is called so.
    expect(queryDatabase.mock.calls.map(([, query]) => String(query)).join()).not.toContain("visits");
  });

  it("says that a registry is out of reach, and makes the image here instead", async () => {
    const makeDatabaseImage = vi.fn().mockResolvedValue("localhost/tandem/postgres:latest");
    const { page } = postgres({ pull: vi.fn().mockRejectedValue({ code: "unavailable", message: "no way to docker.io" }), makeDatabaseImage });
    expect(await page.pull()).toBe(false);
    expect([page.outOfReach, page.failure?.code]).toEqual([true, "unavailable"]);
    expect(await page.make()).toBe(true);
    expect([page.image, page.outOfReach, page.failure]).toEqual(["localhost/tandem/postgres:latest", false, null]);
  });

  it("shows how far a pull is, and that it is being cancelled", async () => {
    let end: (thrown: unknown) => void = () => {};
    const pull = vi.fn((_: string, tell: (progress: object) => void) => {
      tell({ layers: [{ digest: "sha256:abc", state: "moving", done: 1024, total: 4096 }], note: null });
      return new Promise<void>((_, reject) => (end = reject));
    });
    const { page, host } = postgres({ pull } as unknown as Partial<Host>);
    const view = mount(PostgresCard, { target: document.body, props: { postgres: page, images: [], instances: [] } });
    const pulling = page.pull();
    await tick();
    const at = (id: string) => document.querySelector<HTMLElement>(`[data-testid=${id}]`);
    expect(at("pull-progress")?.textContent).toContain("1.0\u00a0KiB of 4.0\u00a0KiB");
    at("pull-cancel")?.click();
    await tick();
    expect(host.cancelWork).toHaveBeenCalledExactlyOnceWith("pull");
    expect((at("pull-cancel") as HTMLButtonElement).disabled).toBe(true);
    end({ code: "cancelled", message: "" });
    await pulling;
    await tick();
    expect([at("pull-progress"), page.failure, page.cancelling]).toEqual([null, null, false]);
    void unmount(view);
  });

  it("says what is missing before it can be started", async () => {
    const { page } = postgres();
    expect(page.why).toContain("an image");
    await page.offer([image("postgres")]);
    expect(page.why).toBeNull();
    for (const port of ["", "x", "0", "65536"]) {
      page.port = port;
      expect(page.why, port).toContain("1 to 65535");
    }
    [page.port, page.volume] = ["5435", " "];
    expect(page.why).toContain("volume has a name");
    page.kept = "none";
    expect(page.why).toBeNull();
    page.password = "";
    expect(page.why).toContain("password");
  });

  it("proves that data in a volume outlive their instance", async () => {
    const { page, host } = postgres();
    await page.offer([image("postgres")]);
    await page.start();
    await page.prove();
    expect(page.proofs.volume?.steps.map((step) => step.rows)).toEqual([1, 1, 1]);
    expect(verdict(page.proofs.volume!)).toBe("With the volume pgdata the data outlived their instance.");
    expect(host.discard).toHaveBeenCalledExactlyOnceWith("psql", true);
    expect(host.runImage).toHaveBeenCalledTimes(2);
    expect(page.busy).toBe(false);
  });

  it("proves that without one they go with it", async () => {
    const queryDatabase = vi.fn().mockResolvedValueOnce(counted(1)).mockResolvedValueOnce(counted(1)).mockResolvedValue(GONE);
    const { page } = postgres({ queryDatabase }, null);
    page.kept = "none";
    await page.offer([image("postgres")]);
    await page.start();
    await page.prove();
    expect(page.proofs.none?.steps.map((step) => step.rows)).toEqual([1, 1, null]);
    expect(verdict(page.proofs.none!)).toBe("Without a volume the data outlived the restart, and went with their instance.");
  });

  it("finds a database that runs already, with its own settings", async () => {
    const { page } = postgres();
    await page.notice([{ name: "psql", state: "running", image: "localhost:5000/postgres:16", backend: "vm" } as InstanceRow]);
    expect([page.database?.volume, page.backend, page.port, page.password]).toEqual(["pgdata", "vm", "5435", "password!"]);
    await page.notice([]);
    expect(page.database).toBeNull();
  });

  it("shows answers and errors as text", async () => {
    const answer = { ...counted(1), tables: [{ columns: ["<i>x</i>"], rows: [["<i>y</i>"], [null]], count: 2 }], error: "<i>bad</i>" };
    const { page } = postgres({ queryDatabase: vi.fn().mockResolvedValue(answer) });
    await page.offer([image("postgres")]);
    await page.start();
    await page.ask();
    const view = mount(PostgresCard, { target: document.body, props: { postgres: page, images: [image("postgres")], instances: [{ name: "psql", state: "running", image: "postgres" } as InstanceRow] } });
    await tick();
    expect(document.querySelector("i")).toBeNull();
    expect([...document.querySelectorAll("td")].map((cell) => cell.textContent)).toEqual(["<i>y</i>", "null"]);
    expect(document.querySelector("[data-testid=postgres-error]")?.textContent).toBe("<i>bad</i>");
    void unmount(view);
  });
});
