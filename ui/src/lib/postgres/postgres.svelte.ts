// The PostgreSQL try-out's controller: what is set, the database that runs,
// what it answered, and whether its data outlive it.

import type { Building } from "../bindings/Building";
import type { Database } from "../bindings/Database";
import type { Failure } from "../bindings/Failure";
import type { ImageRow } from "../bindings/ImageRow";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Pulling } from "../bindings/Pulling";
import type { QueryAnswer } from "../bindings/QueryAnswer";
import type { RunWish } from "../bindings/RunWish";
import { command, runCommand } from "../command";
import { type Host, toFailure } from "../host";
import { nameOf } from "../images/images.svelte";
import { say } from "../messages";
import { type Kept, type Proof, type ProofStep, SURVIVAL, TABLE } from "./proof";

const OFFICIAL = "postgres:16";
const DATA = "/var/lib/postgresql/data";
const MAKING = "tandem image bootstrap debian && tandem sample copy postgres pg && tandem build -t localhost/tandem/postgres --build-arg BASE=localhost/tandem/debian:bookworm pg";

export class Postgres {
  /** What is filled in; the article's values. */
  image = $state("");
  reference = $state(OFFICIAL);
  backend: "container" | "vm" = $state("container");
  name = $state("psql");
  password = $state("password!");
  port = $state("5435");
  kept: Kept = $state("volume");
  volume = $state("pgdata");

  /** What goes on, a few words; null when nothing does. */
  doing: string | null = $state(null);
  pulling: Pulling | null = $state.raw(null);
  /** A cancel was asked for. */
  cancelling = $state(false);
  /** The image is being made from packages. */
  making = $state(false);
  lines: string[] = $state.raw([]);
  /** A registry could not be reached. */
  outOfReach = $state(false);
  database: Database | null = $state.raw(null);
  query = $state("SELECT version();");
  answer: QueryAnswer | null = $state.raw(null);
  /** How the data fared, with a volume and without. */
  proofs: Partial<Record<Kept, Proof>> = $state({});
  failure: Failure | null = $state.raw(null);
  #said: string | null = $state(null);
  #folder = DATA;

  #host: Host;
  #lookAgain: () => Promise<void>;

  /** `lookAgain` reads the list of images again. */
  constructor(host: Host, lookAgain: () => Promise<void> = () => Promise.resolve()) {
    this.#host = host;
    this.#lookAgain = lookAgain;
  }

  get busy(): boolean {
    return this.doing !== null;
  }

  /** The last action as a command, or the one that stands ready. */
  get command(): string {
    return this.#said ?? (this.image ? runCommand(this.wish) : command("pull", this.reference.trim() || OFFICIAL));
  }

  /** What is missing before it can be started. */
  get why(): string | null {
    if (!this.image) return say.postgres.noImage;
    if (!this.password) return say.postgres.noPassword;
    const port = this.port.trim();
    if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65_535) return say.postgres.noNumber;
    return this.kept === "volume" && !this.volume.trim() ? say.postgres.noVolume : null;
  }

  get wish(): RunWish {
    const volumes = this.kept === "volume" ? [`${this.volume.trim()}:${this.#folder}`] : [];
    return {
      image: this.image, backend: this.backend, name: this.name.trim(),
      ports: [`${this.port.trim()}:5432`], env: [`POSTGRES_PASSWORD=${this.password}`], volumes, memory: "", cpus: "",
    };
  }

  /** A setting was changed: the command is the one that stands ready. */
  touched(): void {
    this.#said = null;
  }

  /** Takes one of the images that are here, unless one is chosen already. */
  async offer(rows: ImageRow[]): Promise<void> {
    const names = rows.filter(isPostgres).map(nameOf);
    if (!names.includes(this.image)) await this.choose(names[0] ?? "");
  }

  async choose(image: string): Promise<void> {
    this.image = image;
    this.touched();
    // Since version 18 the official image keeps its data elsewhere.
    this.#folder = image ? await this.#host.databaseFolder(image).catch(() => DATA) : DATA;
  }

  /** Follows what others do to the instance, and finds it when the window opens. */
  async notice(rows: InstanceRow[]): Promise<void> {
    const row = rows.find((one) => one.name === this.name.trim());
    const up = row?.state === "running";
    if (!up && this.database && !this.busy) this.database = this.answer = null;
    if (up && !this.database && !this.busy && isPostgres({ name: row.image.replace(/@.*$/, "").replace(/:[^/]*$/, "") })) {
      const found = await this.#host.database(row.name).catch(() => null);
      if (found && !this.busy) await this.#adopt(row, found);
    }
  }

  /** What was started elsewhere is made again as it is. */
  async #adopt(row: InstanceRow, found: Database): Promise<void> {
    const address = found.url ? new URL(found.url) : null;
    if (address) [this.port, this.password] = [address.port, decodeURIComponent(address.password)];
    this.backend = row.backend === "vm" ? "vm" : "container";
    this.kept = found.volume ? "volume" : "none";
    if (found.volume) this.volume = found.volume;
    await this.choose(row.image.replace(/^docker\.io\/(library\/)?/, ""));
    this.database = found;
  }

  pull(): Promise<boolean> {
    const reference = this.reference.trim() || OFFICIAL;
    return this.#work(say.postgres.pulling(reference), command("pull", reference), async () => {
      this.outOfReach = false;
      this.pulling = { layers: [], note: null };
      try {
        await this.#host.pull(reference, (progress) => (this.pulling = progress));
        await this.#lookAgain();
        await this.choose(/:[^/]*$/.test(reference) ? reference : `${reference}:latest`);
      } catch (thrown) {
        this.outOfReach = toFailure(thrown).code !== "cancelled";
        throw thrown;
      } finally {
        this.pulling = null;
      }
    });
  }

  /** Makes the image from Debian's packages. */
  make(): Promise<boolean> {
    return this.#make((tell) => this.#host.makeDatabaseImage(tell));
  }

  /** Shows the making that a page before this one began. */
  rejoin(): Promise<boolean> {
    return this.#make((tell) => this.#host.joinErrand("build", tell));
  }

  #make(work: (tell: (events: Building[]) => void) => Promise<string>): Promise<boolean> {
    return this.#work(say.postgres.making, MAKING, async () => {
      [this.making, this.lines] = [true, []];
      const image = await work((events) => (this.lines = [...this.lines, ...events.flatMap(wordsOf)].slice(-6)));
      this.outOfReach = false;
      await this.#lookAgain();
      await this.choose(image);
    });
  }

  async cancel(): Promise<void> {
    this.cancelling = true;
    try {
      await this.#host.cancelWork(this.pulling ? "pull" : "build");
    } catch (thrown) {
      [this.failure, this.cancelling] = [toFailure(thrown), false];
    }
  }

  start(): Promise<boolean> {
    return this.#work(say.postgres.starting, runCommand(this.wish), () => this.#run());
  }

  ask(): Promise<boolean> {
    const query = this.query.trim();
    return this.#work(say.postgres.asking, this.#queryCommand(query), async () => {
      this.answer = await this.#host.queryDatabase(this.name.trim(), query);
    });
  }

  /** Stops and removes it; what a volume holds stays. */
  remove(): Promise<boolean> {
    const name = this.name.trim();
    return this.#work(say.postgres.removing, command("rm", "-f", "-v", name), async () => {
      await this.#host.discard(name, true);
      this.database = this.answer = null;
    });
  }

  /** Writes a row, and looks for it after a restart and in a new instance. */
  prove(): Promise<boolean> {
    const name = this.name.trim();
    const kept: Kept = this.database?.volume ? "volume" : "none";
    const proof: Proof = { volume: this.database?.volume ?? null, steps: [], done: false };
    return this.#work(say.postgres.watching, this.#queryCommand(SURVIVAL.write), async () => {
      this.proofs[kept] = proof;
      const step = async (what: ProofStep["what"], said: string, work: () => Promise<unknown>, query: string) => {
        this.doing = say.postgres.steps[what];
        this.#said = said;
        await work();
        const answer = await this.#host.queryDatabase(name, query);
        // That the table is gone is what may be seen; anything else says nothing of it.
        if (answer.error !== null && (what === "written" || !answer.error.includes(TABLE))) throw { code: "internal", message: answer.error } satisfies Failure;
        const count = Number(answer.tables.at(-1)?.rows[0]?.[0] ?? Number.NaN);
        const rows = Number.isNaN(count) ? null : count;
        this.proofs[kept]?.steps.push({ what, command: said, rows });
      };
      await step("written", this.#queryCommand(SURVIVAL.write), async () => {}, SURVIVAL.write);
      await step("restarted", command("restart", name), async () => {
        await this.#host.restart(name);
        this.database = await this.#host.awaitDatabase(name);
      }, SURVIVAL.read);
      const wish = this.wish;
      if (kept === "none") wish.volumes = [];
      else wish.volumes = [`${this.database?.volume ?? this.volume}:${this.#folder}`];
      await step("renewed", `${command("rm", "-f", "-v", name)} && ${runCommand(wish)}`, async () => {
        await this.#host.discard(name, true);
        await this.#run(wish);
      }, SURVIVAL.read);
      const finished = this.proofs[kept];
      if (finished) finished.done = true;
    });
  }

  async #run(wish: RunWish = this.wish): Promise<void> {
    await this.#host.runImage(wish);
    this.database = await this.#host.awaitDatabase(wish.name);
  }

  #queryCommand(query: string): string {
    return command("exec", this.name.trim(), "psql", "-U", "postgres", "-c", query);
  }

  async #work(doing: string, said: string, work: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.doing = doing;
    this.#said = said;
    this.failure = null;
    try {
      await work();
      return true;
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (failure.code !== "cancelled") this.failure = failure;
      return false;
    } finally {
      this.doing = null;
      [this.making, this.lines, this.cancelling] = [false, [], false];
    }
  }
}

/** Whether an image is called like PostgreSQL's. */
export function isPostgres(row: Pick<ImageRow, "name">): boolean {
  return row.name.split("/").at(-1) === "postgres";
}

function wordsOf(event: Building): string[] {
  if (event.type === "step") return [event.instruction];
  return event.type === "output" || event.type === "notice" ? [event.text] : [];
}
