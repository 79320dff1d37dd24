import axe from "axe-core";
import { mount, tick, unmount } from "svelte";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { LessonProgress } from "../bindings/LessonProgress";
import type { LessonView } from "../bindings/LessonView";
import type { SaidBy } from "../bindings/SaidBy";
import { Bundles } from "../class/bundles.svelte";
import { Classroom } from "../class/class.svelte";
import type { Host } from "../host";
import { shown } from "../messages/language.svelte";
import { fetchSaid } from "../messages/said.svelte";
import { Lessons } from "./lessons.svelte";
import LessonsPage from "./LessonsPage.svelte";

const plain = { strong: false, emphasis: false, code: false, link: null };
const VIEW: LessonView = {
  folder: "/home/lessons/work/x",
  progress: { done: [] },
  lesson: {
    id: "x",
    title: "A <i>title</i>",
    summary: "About.",
    steps: [
      {
        title: "One",
        blocks: [
          { type: "paragraph", text: [{ ...plain, text: "<script>alert(1)</script>" }] },
          { type: "predict", question: "What?", choices: ["a", "b"] },
          { type: "explain", text: ["Because of that."] },
          { type: "run", commands: ["tandem ps"], any: false },
        ],
      },
      {
        title: "Two",
        blocks: [
          { type: "check", checks: [{ asks: "the image app is there", check: { type: "image", name: "app" } }] },
          { type: "quiz", question: "Which?", choices: ["no", "yes"], right: 1, why: "So it is." },
          { type: "result", experiment: "startup" },
        ],
      },
    ],
  },
};

const done = (step: number, block: number, more: object): LessonProgress => ({ done: [{ spot: { step, block }, whole: true, commands: [], choice: null, ...more }] });

function host(more: object): Host {
  return { lessons: () => Promise.resolve([]), lesson: () => Promise.resolve(structuredClone(VIEW)), results: () => Promise.resolve([]), ...more } as unknown as Host;
}

const lessonHost = host({});
let view: Record<string, unknown> | undefined;

beforeAll(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {} }));
  HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
    this.open = true;
  };
});

afterEach(() => {
  if (view) void unmount(view);
  view = undefined;
});

async function show(lessons: Lessons, onEdit?: (folder: string) => void): Promise<string> {
  view = mount(LessonsPage, { target: document.body, props: { lessons, rows: [], ...(onEdit ? { onEdit } : {}), classroom: new Classroom(lessonHost, () => false), bundles: new Bundles(lessonHost) } });
  await tick();
  return document.body.textContent ?? "";
}

describe("lessons", () => {
  it("go on in another language where one is", async () => {
    const german = structuredClone(VIEW);
    german.lesson.title = "Auf Deutsch";
    const lesson = vi.fn((_id: string, language: string) => Promise.resolve(structuredClone(language === "de" ? german : VIEW)));
    const lessons = new Lessons(host({ lesson }), () => false);
    await lessons.speak("en");
    expect(lesson).not.toHaveBeenCalled();
    await lessons.choose("x");
    const step = lessons.step;
    await lessons.speak("de");
    expect(lessons.view?.lesson.title).toBe("Auf Deutsch");
    expect(lessons.step).toBe(step);
  });

  it("stay the one that was chosen last, however late another comes", async () => {
    let late: (view: LessonView) => void = () => {};
    const named = (id: string) => ({ ...structuredClone(VIEW), lesson: { ...VIEW.lesson, id } });
    const lesson = (id: string) => (id === "slow" ? new Promise<LessonView>((resolve) => (late = resolve)) : Promise.resolve(named(id)));
    const lessons = new Lessons(host({ lesson }), () => false);
    const slow = lessons.choose("slow");
    await lessons.choose("quick");
    late(named("slow"));
    await slow;
    expect(lessons.view?.lesson.id).toBe("quick");
  });

  it("say that a command could not be begun, whatever is drawn after it", async () => {
    const measures = structuredClone(VIEW);
    measures.lesson.steps[1]!.blocks.push({ type: "run", commands: ["tandem experiment run size --trials 1"], any: false });
    const runLessonCommand = vi.fn().mockRejectedValue({ code: "conflict", message: "an experiment runs" });
    const lessons = new Lessons(host({ runLessonCommand, lesson: () => Promise.resolve(structuredClone(measures)) }), () => false);
    await lessons.choose("x");
    await lessons.show(1);
    await lessons.run({ step: 1, block: 3 }, 0);
    expect(lessons.failure?.message).toBe("an experiment runs");
    await lessons.refresh();
    expect(lessons.failure?.message).toBe("an experiment runs");
    await lessons.choose(null);
    expect(lessons.failure).toBeNull();
  });

  it("keep what was done while they were read again", async () => {
    let late: (view: LessonView) => void = () => {};
    const lesson = vi.fn().mockResolvedValueOnce(structuredClone(VIEW)).mockReturnValue(new Promise<LessonView>((resolve) => (late = resolve)));
    const lessons = new Lessons(host({ lesson, answerLesson: () => Promise.resolve(done(0, 1, { choice: 0 })) }), () => false);
    await lessons.choose("x");
    const reading = lessons.refresh();
    await vi.waitFor(() => expect(lesson).toHaveBeenCalledTimes(2));
    await lessons.answer({ step: 0, block: 1 }, 0);
    late(structuredClone(VIEW));
    await reading;
    expect(lessons.choice({ step: 0, block: 1 })).toBe(0);
  });

  it("keep to the steps that there are when a lesson was changed meanwhile", async () => {
    const short = structuredClone(VIEW);
    short.lesson.steps.pop();
    const lesson = vi.fn().mockResolvedValueOnce(structuredClone(VIEW)).mockResolvedValue(short);
    const lessons = new Lessons(host({ lesson }), () => false);
    await lessons.choose("x");
    await lessons.show(1);
    await lessons.refresh();
    expect(lessons.step).toBe(0);
  });

  it("say nothing of a result that could not be looked at", async () => {
    const lessons = new Lessons(host({ results: () => Promise.reject({ code: "internal", message: "locked" }) }), () => false);
    await lessons.choose("x");
    await lessons.show(1);
    expect(await show(lessons)).toContain("locked");
    expect(document.querySelector("[data-testid=lesson-no-result]")).toBeNull();
  });

  it("say of a result that it came with the program, and show an own one first", async () => {
    const finished = { experiment: "startup", finished_at: "2", stopped: null, origin: "recorded" };
    const rows = [{ ...finished, id: "later", started_at: "2026-11-29T10:00:00Z" }];
    const machine = { cpu: "Another CPU", os: "Another OS" };
    const viewResult = (id: string) => Promise.resolve({ document: { id, machine, started_at: "2026-11-29T10:00:00Z", verdicts: [], comparisons: [], warnings: [], predictions: [] }, charts: [], trials: [], why: null, command: null });
    const lessons = new Lessons(host({ results: () => Promise.resolve(rows), viewResult }), () => false);
    await lessons.choose("x");
    await lessons.show(1);
    expect(await show(lessons)).toContain("A recording: measured on Another CPU, Another OS");
    rows.push({ ...finished, id: "own", started_at: "2026-01-01T00:00:00Z", origin: null as never });
    await lessons.refresh();
    await tick();
    expect([lessons.results.startup?.document?.id, document.querySelector("[data-testid=result-recorded]")]).toEqual(["own", null]);
  });

  it("open their project in the Workbench once it is there", async () => {
    const copies = structuredClone(VIEW);
    copies.lesson.steps[0]!.blocks[3] = { type: "run", commands: ["tandem ps", "tandem sample copy hello-flask my-app"], any: false };
    const runLessonCommand = vi.fn().mockResolvedValue({ code: 0, progress: done(0, 3, { commands: [1] }) });
    const lessons = new Lessons(host({ runLessonCommand, lesson: () => Promise.resolve(structuredClone(copies)) }), () => false);
    await lessons.choose("x");
    const onEdit = vi.fn();
    await show(lessons, onEdit);
    const button = () => document.querySelector<HTMLElement>("[data-testid=lesson-edit]");
    expect(button()).toBeNull();
    await lessons.run({ step: 0, block: 3 }, 1);
    await tick();
    expect(button()?.textContent).toBe("Edit my-app");
    button()?.click();
    expect(onEdit).toHaveBeenCalledExactlyOnceWith("/home/lessons/work/x/my-app");
  });

  it("go on reading at the beginning of the next step", async () => {
    const lessons = new Lessons(host({}), () => false);
    await lessons.choose("x");
    await show(lessons);
    document.querySelector<HTMLElement>("[data-testid=lesson-next]")?.click();
    await vi.waitFor(() => expect(document.activeElement?.textContent).toBe("2. Two"));
  });

  it("show the worksheet's command in the language in which it is written", async () => {
    const lessons = new Lessons(host({}), () => false);
    await lessons.choose("x");
    lessons.file = "/tmp/a.html";
    expect(lessons.command).toBe("tandem lesson export x -o /tmp/a.html");
    shown.language = "de";
    expect(lessons.command).toBe("tandem lesson export x --language de -o /tmp/a.html");
    shown.language = "en";
  });

  it("keep a choice in the step where it was made, however late its answer comes", async () => {
    const twice = structuredClone(VIEW);
    twice.lesson.steps = [1, 2].map((at) => ({ title: String(at), blocks: [{ type: "quiz", question: "Which?", choices: ["no", "yes"], right: 1, why: "So." }] }));
    let answered: (progress: LessonProgress) => void = () => {};
    const answerLesson = vi.fn(() => new Promise<LessonProgress>((resolve) => (answered = resolve)));
    const lesson = (id: string) => Promise.resolve({ ...structuredClone(twice), lesson: { ...twice.lesson, id } });
    const lessons = new Lessons(host({ answerLesson, lesson }), () => false);
    await lessons.choose("x");
    await show(lessons);
    const radio = () => document.querySelector<HTMLInputElement>("[data-testid=lesson-choice-0-1]");
    radio()?.click();
    await lessons.show(1);
    await tick();
    expect(radio()?.checked).toBe(false);
    await lessons.choose("y");
    answered(done(0, 0, { choice: 1 }));
    await tick();
    expect(lessons.view?.progress.done).toEqual([]);
  });

  it("mark no choice that could not be kept", async () => {
    const answerLesson = vi.fn().mockRejectedValue({ code: "internal", message: "disk full" });
    const lessons = new Lessons(host({ answerLesson }), () => false);
    await lessons.choose("x");
    await show(lessons);
    const radio = document.querySelector<HTMLInputElement>("[data-testid=lesson-choice-1-0]");
    radio?.click();
    await vi.waitFor(() => expect(radio?.checked).toBe(false));
    expect(document.body.textContent).toContain("disk full");
  });

  it("show foreign markup as text, and explain after the prediction", async () => {
    const answerLesson = vi.fn().mockResolvedValue(done(0, 1, { choice: 0 }));
    const lessons = new Lessons(host({ answerLesson }), () => false);
    await lessons.choose("x");
    expect(await show(lessons)).toContain("<script>alert(1)</script>");
    expect(document.querySelector("script, i")).toBeNull();
    expect(document.body.textContent).not.toContain("Because of that.");
    await lessons.answer({ step: 0, block: 1 }, 0);
    await tick();
    expect(document.body.textContent).toContain("Because of that.");
    expect(lessons.command).toBe("tandem lesson run x --step 1");
  });

  it("run commands one at a time and keep what they say", async () => {
    const runLessonCommand = vi.fn((_id: string, _spot: object, _n: number, onLines: (lines: SaidBy[]) => void) => {
      onLines([{ error: false, text: "\u001b[1mNAME\u001b[0m" }]);
      return Promise.resolve({ code: 0, progress: done(0, 3, { commands: [0] }) });
    });
    const lessons = new Lessons(host({ runLessonCommand }), () => false);
    await lessons.choose("x");
    const spot = { step: 0, block: 3 };
    await Promise.all([lessons.run(spot, 0), lessons.run(spot, 0)]);
    expect(runLessonCommand).toHaveBeenCalledTimes(1);
    expect(lessons.carried[lessons.key(spot, 0)]?.lines).toEqual([{ error: false, text: "NAME" }]);
    expect(lessons.hasRun(spot, 0)).toBe(true);
    expect(lessons.left(0)).toBe(1);
  });

  it("keep the focus at a command while it runs, and are not stopped by a second click", async () => {
    let end: () => void = () => {};
    const runLessonCommand = vi.fn(() => new Promise((resolve) => (end = () => resolve({ code: 0, progress: done(0, 3, { commands: [0] }) }))));
    const cancelWork = vi.fn().mockResolvedValue(undefined);
    const lessons = new Lessons(host({ runLessonCommand, cancelWork } as object), () => false);
    await lessons.choose("x");
    await show(lessons);
    const clock = vi.spyOn(performance, "now").mockReturnValue(5000);
    const button = document.querySelector<HTMLElement>("[data-testid=lesson-run-3-0]")!;
    button.focus();
    button.click();
    await tick();
    expect([document.activeElement === button, button.textContent, button.dataset.testid]).toEqual([true, "Cancel", "lesson-cancel"]);
    button.click();
    expect(cancelWork).not.toHaveBeenCalled();
    clock.mockReturnValue(6000);
    button.click();
    expect(cancelWork).toHaveBeenCalledExactlyOnceWith("lesson");
    clock.mockRestore();
    end();
    await vi.waitFor(() => expect(button.textContent).toBe("Run again"));
    expect(document.activeElement).toBe(button);
  });

  it("tell what a check found instead", async () => {
    const checkLesson = vi.fn().mockResolvedValue({ whole: false, found: [{ asks: "the image app is there", instead: "there is none" }], progress: { done: [] } });
    const lessons = new Lessons(host({ checkLesson }), () => false);
    await lessons.choose("x");
    await lessons.show(1);
    await lessons.check({ step: 1, block: 0 });
    // What has nothing to do is not ticked off.
    lessons.view = { ...lessons.view!, lesson: { ...lessons.view!.lesson, steps: [...lessons.view!.lesson.steps, { title: "Read", blocks: [] }] } };
    expect([lessons.left(2), lessons.wasDone(2)]).toEqual([0, false]);
    expect(await show(lessons)).toContain("there is none");
    expect(document.querySelector("[data-testid=lesson-no-result]")).not.toBeNull();
  });

  it("are presented slide by slide with left and right", async () => {
    const lessons = new Lessons(host({}), () => false);
    await lessons.choose("x");
    await lessons.present();
    await show(lessons);
    const stage = () => document.querySelector<HTMLElement>("[data-testid=stage]");
    const key = async (name: string) => {
      stage()?.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
      await tick();
    };
    const shown = () => stage()?.querySelector("h2")?.textContent;
    expect(shown()).toBe("A <i>title</i>");
    await key("ArrowLeft");
    expect(shown()).toBe("A <i>title</i>");
    await key("ArrowRight");
    expect(shown()).toBe("1. One");
    // What is done at the machine, and the explanation, are not told.
    expect(stage()?.textContent).not.toContain("Because of that.");
    await key("End");
    expect(shown()).toBe("2. Two");
    expect(lessons.step).toBe(1);
    await key("Home");
    expect(stage()?.dataset.at).toBe("0");
  });

  it("have nothing that axe finds serious", async () => {
    const lessons = new Lessons(host({}), () => false);
    await lessons.choose("x");
    await lessons.show(1);
    await show(lessons);
    const found = await axe.run(document.body, { rules: { "color-contrast": { enabled: false }, region: { enabled: false } } });
    expect(found.violations.filter((one) => one.impact === "serious" || one.impact === "critical").map((one) => one.id)).toEqual([]);
  }, 60_000);

  it("keep a command to the lesson that it belongs to, and what it said", async () => {
    let end: () => void = () => {};
    const runLessonCommand = vi.fn((_id: string, _spot: object, _n: number, onLines: (lines: SaidBy[]) => void) => {
      onLines([{ error: false, text: "slow" }]);
      return new Promise((resolve) => (end = () => resolve({ code: 1, progress: { done: [] } })));
    });
    const lesson = (id: string) => Promise.resolve({ ...structuredClone(VIEW), lesson: { ...VIEW.lesson, id } });
    const lessons = new Lessons(host({ runLessonCommand, lesson } as object), () => false);
    await lessons.choose("x");
    const spot = { step: 0, block: 3 };
    const running = lessons.run(spot, 0);
    await lessons.choose("y");
    expect([lessons.carried[lessons.key(spot, 0)], lessons.running === lessons.key(spot, 0)]).toEqual([undefined, false]);
    await lessons.choose("x");
    expect([lessons.carried[lessons.key(spot, 0)]?.lines.length, lessons.running === lessons.key(spot, 0)]).toEqual([1, true]);
    end();
    await running;
    expect(lessons.carried[lessons.key(spot, 0)]?.code).toBe(1);
  });

  it("show a command that a page before this one began", async () => {
    const joinErrand = vi.fn((_kind: string, onLines: (lines: SaidBy[]) => void) => {
      onLines([{ error: false, text: "so far" }]);
      return Promise.resolve({ code: 0, progress: done(0, 3, { commands: [0] }) });
    });
    const lessons = new Lessons(host({ joinErrand }), () => false);
    await lessons.rejoin("x", { step: 0, block: 3 }, 0);
    expect([lessons.view?.lesson.id, lessons.step, lessons.hasRun({ step: 0, block: 3 }, 0), lessons.running]).toEqual(["x", 0, true, null]);
    expect(lessons.carried[lessons.key({ step: 0, block: 3 }, 0)]?.lines[0]?.text).toBe("so far");
  });

  it("show a result that was measured elsewhere meanwhile, and what was done there", async () => {
    const results = vi.fn().mockResolvedValueOnce([]).mockResolvedValue([{ id: "r", experiment: "startup", started_at: "1", finished_at: "2", stopped: null }]);
    const viewResult = vi.fn().mockResolvedValue({ document: null, charts: [], trials: [], why: null, command: null });
    const lesson = vi.fn().mockResolvedValueOnce(structuredClone(VIEW)).mockResolvedValue({ ...structuredClone(VIEW), progress: done(1, 1, { choice: 1 }) });
    const lessons = new Lessons(host({ results, viewResult, lesson }), () => false);
    await lessons.choose("x");
    await lessons.show(1);
    expect(lessons.results.startup).toBeNull();
    await lessons.refresh();
    expect(lessons.results.startup).not.toBeNull();
    expect([lessons.step, lessons.isDone({ step: 1, block: 1 })]).toEqual([1, true]);
  });

  it("say what a check found in the language that is shown", async () => {
    const checkLesson = vi.fn().mockResolvedValue({ whole: false, found: [{ asks: "das Image", instead: "there is none" }], progress: { done: [] } });
    const lessons = new Lessons(host({ checkLesson }), () => false);
    await lessons.choose("x");
    await lessons.show(1);
    await lessons.check({ step: 1, block: 0 });
    await fetchSaid();
    shown.language = "de";
    expect(await show(lessons)).toContain("es gibt keins");
    shown.language = "en";
  });
});
