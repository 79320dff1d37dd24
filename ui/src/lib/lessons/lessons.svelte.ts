// The Lessons page's controller: the lessons, the one that is open, and what
// was done and seen in it.

import type { Block } from "../bindings/Block";
import type { CommandEnd } from "../bindings/CommandEnd";
import type { CheckOutcome } from "../bindings/CheckOutcome";
import type { Failure } from "../bindings/Failure";
import type { Language } from "../bindings/Language";
import type { LessonProgress } from "../bindings/LessonProgress";
import type { LessonRow } from "../bindings/LessonRow";
import type { LessonView } from "../bindings/LessonView";
import type { SaidBy } from "../bindings/SaidBy";
import type { Spot } from "../bindings/Spot";
import { command } from "../command";
import { type Host, failureOf } from "../host";
import { say } from "../messages";
import { shown } from "../messages/language.svelte";
import { plainText } from "../workbench/build";
import type { Ground } from "./architecture";
import { Drawn } from "./drawn.svelte";
import { Grounds } from "./ground.svelte";

/** A command of a lesson, as it goes or went. */
export interface Carried {
  lines: SaidBy[];
  /** The exit code, once it has ended. */
  code: number | null;
}

/** Lines of a command that are kept. */
const KEPT = 400;

const TASKS: ReadonlySet<Block["type"]> = new Set(["run", "check", "predict", "quiz"]);

export class Lessons {
  rows: LessonRow[] | null = $state.raw(null);
  view: LessonView | null = $state.raw(null);
  /** The step that is shown, from 0. */
  step = $state(0);
  failure: Failure | null = $state.raw(null);
  note: string | null = $state(null);
  /** Where the worksheet goes, as typed. */
  file = $state("");
  /** The worksheet has the answers, for the teacher. */
  answers = $state(false);
  /** What commands said, by lesson, place and number. */
  carried: Record<string, Carried> = $state({});
  /** What checks found, by lesson and place. */
  outcomes: Record<string, CheckOutcome> = $state.raw({});
  /** The command that runs. */
  running: string | null = $state(null);
  checking = $state(false);
  /** The teacher's view is shown in place of the lessons. */
  teaching = $state(false);
  /** The lesson is shown to a class, in large type. */
  presenting = $state(false);

  #host: Host;
  #language: Language = shown.language;
  readonly #drawn: Drawn;
  readonly #grounds: Grounds;
  /** Each lesson that was asked for has its own number. */
  #opening = 0;
  /** So often something was done here since the page is there. */
  #doings = 0;

  constructor(host: Host, isDark: () => boolean) {
    this.#host = host;
    this.#drawn = new Drawn(host, isDark);
    this.#grounds = new Grounds(host);
  }

  /** The latest results by experiment; null when there is none. */
  get results(): Drawn["all"] {
    return this.#drawn.all;
  }

  /** What this machine is, once a step has drawn it. */
  get ground(): Ground {
    return this.#grounds.now;
  }

  get command(): string {
    if (!this.view) return "tandem lesson ls";
    if (this.file.trim()) return command("lesson", "export", this.view.lesson.id, ...(this.answers ? ["--answers"] : []), ...(shown.language === "de" ? ["--language", "de"] : []), "-o", this.file.trim());
    return command("lesson", "run", this.view.lesson.id, "--step", String(this.step + 1));
  }

  /** Shows what is shown in another language; what was done in it stays. */
  async speak(language: Language): Promise<void> {
    if (language === this.#language) return;
    this.#language = language;
    await this.refresh();
  }

  async refresh(): Promise<void> {
    const language = this.#language;
    await this.#quietly(async () => {
      const rows = await this.#host.lessons(language);
      if (this.#language === language) this.rows = rows;
    });
    // Elsewhere something may have been measured, or done on the command line.
    this.#drawn.forget();
    const id = this.view?.lesson.id;
    if (id === undefined) return;
    await this.#quietly(async () => {
      const doings = this.#doings;
      const view = await this.#host.lesson(id, language);
      if (this.view?.lesson.id !== id || this.#language !== language) return;
      // What was done here meanwhile is not in it.
      this.view = doings === this.#doings ? view : { ...view, progress: this.view.progress };
    });
    // A lesson of one's own may have fewer steps by now.
    await this.show(Math.max(0, Math.min(this.step, (this.view?.lesson.steps.length ?? 1) - 1)));
  }

  /** Opens a lesson at the first step with something left to do. */
  async choose(id: string | null): Promise<void> {
    const opening = ++this.#opening;
    [this.note, this.failure] = [null, null];
    if (id === null) {
      this.view = null;
      await this.refresh();
      return;
    }
    await this.#try(async () => {
      const view = await this.#host.lesson(id, this.#language);
      // Another one may have been chosen meanwhile.
      if (opening !== this.#opening) return;
      this.view = view;
      this.outcomes = {};
      const open = this.view.lesson.steps.findIndex((_, at) => this.left(at) > 0);
      await this.show(Math.max(open, 0));
    });
  }

  /** Draws what is shown anew, for another theme. */
  async redraw(): Promise<void> {
    this.#drawn.forget();
    if (this.presenting) await this.present();
    else await this.show(this.step);
  }

  async show(step: number): Promise<void> {
    this.step = step;
    await this.#draw(this.view?.lesson.steps[step]?.blocks ?? []);
  }

  /** Shows the lesson to a class, with all its results. */
  async present(): Promise<void> {
    await this.#draw(this.view?.lesson.steps.flatMap((step) => step.blocks) ?? []);
    this.presenting = this.view !== null;
  }

  async #draw(blocks: Block[]): Promise<void> {
    for (const block of blocks) {
      if (block.type === "result") await this.#quietly(() => this.#drawn.draw(block.experiment));
      // The drawing is there at once, and its figures come.
      if (block.type === "picture") void this.#grounds.look();
    }
  }

  /** A key for a place of the lesson that is open, or for a command at it. */
  key(spot: Spot, number?: number): string {
    return `${this.view?.lesson.id ?? ""} ${place(spot, number)}`;
  }

  /** What is left to do in a step. */
  left(step: number): number {
    const blocks = this.view?.lesson.steps[step]?.blocks ?? [];
    return blocks.filter((block, at) => TASKS.has(block.type) && !this.isDone({ step, block: at })).length;
  }

  /** Whether there was something to do in a step, and all of it is done. */
  wasDone(step: number): boolean {
    const blocks = this.view?.lesson.steps[step]?.blocks ?? [];
    return blocks.some((block) => TASKS.has(block.type)) && this.left(step) === 0;
  }

  isDone(spot: Spot): boolean {
    return this.#done(spot)?.whole ?? false;
  }

  /** Whether a command of a run block succeeded. */
  hasRun(spot: Spot, number: number): boolean {
    return this.#done(spot)?.commands.includes(number) ?? false;
  }

  choice(spot: Spot): number | null {
    return this.#done(spot)?.choice ?? null;
  }

  /** The step's prediction was made, or it asks for none. */
  mayExplain(step: number): boolean {
    const blocks = this.view?.lesson.steps[step]?.blocks ?? [];
    // A prediction may stand a step before what it is about.
    const asks = blocks.some((block) => block.type === "predict") ? step : step - 1;
    const asked = this.view?.lesson.steps[asks]?.blocks ?? [];
    return asked.every((block, at) => block.type !== "predict" || this.isDone({ step: asks, block: at }));
  }

  async run(spot: Spot, number: number): Promise<void> {
    const id = this.view?.lesson.id;
    if (id) await this.#carry(id, spot, number, (tell) => this.#host.runLessonCommand(id, spot, number, tell));
  }

  /** Shows a command that a page before this one began. */
  async rejoin(id: string, spot: Spot, number: number): Promise<void> {
    await this.choose(id);
    if (this.view?.lesson.id !== id) return;
    await this.show(spot.step);
    await this.#carry(id, spot, number, (tell) => this.#host.joinErrand("lesson", tell));
  }

  async #carry(id: string, spot: Spot, number: number, work: (tell: (lines: SaidBy[]) => void) => Promise<CommandEnd>): Promise<void> {
    const key = `${id} ${place(spot, number)}`;
    if (this.running !== null) return;
    this.running = key;
    this.carried[key] = { lines: [], code: null };
    await this.#try(async () => {
      const end = await work((lines) => this.take(key, lines));
      const carried = this.carried[key];
      if (carried) carried.code = end.code;
      this.#progress(id, end.progress);
    });
    this.running = null;
    const block = this.view?.lesson.id === id ? this.view.lesson.steps[spot.step]?.blocks[spot.block] : undefined;
    if (block?.type === "run" && /\b(experiment run|compare)\b/.test(block.commands[number] ?? "")) {
      this.#drawn.forget();
      await this.show(this.step);
    }
  }

  take(key: string, lines: SaidBy[]): void {
    const carried = this.carried[key];
    if (!carried) return;
    const plain = lines.map((line) => ({ ...line, text: plainText(line.text) }));
    carried.lines = [...carried.lines, ...plain].slice(-KEPT);
  }

  async cancel(): Promise<void> {
    await this.#try(() => this.#host.cancelWork("lesson"));
  }

  async check(spot: Spot): Promise<void> {
    const id = this.view?.lesson.id;
    if (!id || this.checking) return;
    this.checking = true;
    await this.#try(async () => {
      const outcome = await this.#host.checkLesson(id, spot);
      this.outcomes = { ...this.outcomes, [`${id} ${place(spot)}`]: outcome };
      this.#progress(id, outcome.progress);
    });
    this.checking = false;
  }

  async answer(spot: Spot, choice: number): Promise<void> {
    const id = this.view?.lesson.id;
    if (!id) return;
    await this.#try(async () => this.#progress(id, await this.#host.answerLesson(id, spot, choice)));
  }

  async open(url: string): Promise<void> {
    const id = this.view?.lesson.id;
    if (id) await this.#try(() => this.#host.openLessonLink(id, url));
  }

  async reset(): Promise<void> {
    const id = this.view?.lesson.id;
    if (!id) return;
    await this.#try(async () => {
      this.#progress(id, await this.#host.resetLesson(id));
      [this.outcomes, this.step] = [{}, 0];
      for (const key of Object.keys(this.carried)) if (key.startsWith(`${id} `)) delete this.carried[key];
    });
  }

  async save(): Promise<void> {
    const [id, file] = [this.view?.lesson.id, this.file.trim()];
    if (!id || !file) return;
    await this.#try(async () => {
      await this.#host.exportLesson(id, this.#language, this.answers, file);
      this.note = say.common.writtenTo(file);
      this.file = "";
    });
  }

  #done(spot: Spot) {
    return this.view?.progress.done.find((one) => one.spot.step === spot.step && one.spot.block === spot.block);
  }

  /** Another lesson may be open by the time that an answer comes. */
  #progress(id: string, progress: LessonProgress): void {
    this.#doings += 1;
    if (this.view?.lesson.id === id) this.view = { ...this.view, progress };
  }

  /** What a person asked for: what failed before is over. */
  async #try(work: () => Promise<void>): Promise<void> {
    this.failure = null;
    await this.#quietly(work);
  }

  /** What the page asks for by itself: what failed before is said still. */
  async #quietly(work: () => Promise<void>): Promise<void> {
    const failure = await failureOf(work);
    if (failure && failure.code !== "cancelled") this.failure ??= failure;
  }
}

/** A key for a place, or for a command at it. */
export function place(spot: Spot, number?: number): string {
  return [spot.step, spot.block, ...(number === undefined ? [] : [number])].join(".");
}
