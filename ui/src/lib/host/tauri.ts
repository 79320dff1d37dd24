// The only file that knows Tauri.

import { Channel, invoke } from "@tauri-apps/api/core";
import type { Beginning } from "../bindings/Beginning";
import type { Frame } from "../bindings/Frame";
import type { InstanceRow } from "../bindings/InstanceRow";
import type { Host } from "./index";

function channel<T>(onMessage: (message: T) => void): Channel<T> {
  const messages = new Channel<T>();
  messages.onmessage = onMessage;
  return messages;
}

/** What the program wrote into the page before it began. */
function beginning(): Beginning | null {
  const [opened] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const { tandemBegins } = window as { tandemBegins?: Beginning };
  return opened?.type === "reload" ? null : (tandemBegins ?? null);
}

export const tauriHost: Host = {
  beginning,
  opening: () => invoke("opening"),
  doctor: () => invoke("doctor"),
  subjects: () => invoke("subjects"),
  defaults: (subject) => invoke("defaults", { subject }),
  launch: (request, view) => invoke("launch", { request, view }),
  watch: (onFrame) => {
    const frames = new Channel<Frame>();
    frames.onmessage = onFrame;
    return invoke("watch", { frames });
  },
  cancel: () => invoke("cancel"),
  draw: (view) => invoke("draw", { view }),
  followInstances: (onRows) => {
    const rows = new Channel<InstanceRow[]>();
    rows.onmessage = onRows;
    return invoke("follow_instances", { rows });
  },
  start: (name) => invoke("start", { name }),
  stop: (name) => invoke("stop", { name }),
  discard: (name, volumes = false) => invoke("discard", { name, volumes }),
  open: (name) => invoke("open", { name }),
  restart: (name) => invoke("restart", { name }),
  pause: (name, paused) => invoke("pause", { name, paused }),
  update: (name, resources, mode) => invoke("update", { name, resources, mode }),
  followLog: (name, onLines) => invoke("follow_log", { name, lines: channel(onLines) }),
  openTerminal: (name, kind, size) => invoke("open_terminal", { name, kind, size }),
  followTerminal: (id, onBytes) => {
    const output = channel<ArrayBuffer>((bytes) => onBytes(new Uint8Array(bytes)));
    return invoke("follow_terminal", { id, output });
  },
  typeInTerminal: (id, text) => invoke("type_in_terminal", { id, text }),
  resizeTerminal: (id, size) => invoke("resize_terminal", { id, size }),
  terminalTaken: (id, bytes) => invoke("terminal_taken", { id, bytes }),
  closeTerminal: (id) => invoke("close_terminal", { id }),
  snapshots: (name) => invoke("snapshots", { name }),
  takeSnapshot: (name, snapshot, memory) => invoke("take_snapshot", { name, snapshot, memory }),
  restoreSnapshot: (name, snapshot, into) => invoke("restore_snapshot", { name, snapshot, into }),
  give: (name, kind, file, onNotes) => invoke("give", { name, kind, file, notes: channel(onNotes) }),
  removeSnapshot: (name, snapshot) => invoke("remove_snapshot", { name, snapshot }),

  images: () => invoke("images"),
  imageDetail: (name) => invoke("image_detail", { name }),
  tagImage: (from, to) => invoke("tag_image", { from, to }),
  removeImage: (name) => invoke("remove_image", { name }),
  pruneImages: () => invoke("prune_images"),
  pull: (name, onProgress) => invoke("pull", { name, progress: channel(onProgress) }),
  runImage: (wish) => invoke("run_image", { wish }),
  cancelWork: (kind) => invoke("cancel_work", { kind }),
  errands: () => invoke("errands"),
  joinErrand: (kind, onTold) => invoke("join_errand", { kind, told: channel(onTold) }),

  databaseFolder: (image) => invoke("database_folder", { image }),
  database: (name) => invoke("database", { name }),
  awaitDatabase: (name) => invoke("await_database", { name }),
  queryDatabase: (name, query) => invoke("query_database", { name, query }),
  makeDatabaseImage: (onEvents) => invoke("make_database_image", { events: channel(onEvents) }),

  openProject: (folder) => invoke("open_project", { folder }),
  newProject: (sample, folder) => invoke("new_project", { sample, folder }),
  saveProjectFile: (folder, name, text, before) => invoke("save_project_file", { folder, name, text, before }),
  checkDockerfile: (name, text) => invoke("check_dockerfile", { name, text }),
  buildProject: (folder, onEvents) => invoke("build_project", { folder, events: channel(onEvents) }),

  results: () => invoke("results"),
  viewResult: (id, width, theme) => invoke("view_result", { id, width, theme }),
  viewBeside: (ids, metric, width, theme) => invoke("view_beside", { ids, metric, width, theme }),
  exportResult: (id, format, theme, file) => invoke("export_result", { id, format, theme, file }),
  removeResult: (id) => invoke("remove_result", { id }),
  explainResult: (id, text) => invoke("explain_result", { id, text }),
  importRecorded: () => invoke("import_recorded"),
  experiments: () => invoke("experiments"),
  experimentDefaults: (id) => invoke("experiment_defaults", { id }),
  runExperiment: (request, onEvents) => invoke("run_experiment", { request, events: channel(onEvents) }),
  resumeExperiment: (id, onEvents) => invoke("resume_experiment", { id, events: channel(onEvents) }),
  fitGuide: (subject, classSize) => invoke("fit_guide", { subject, class: classSize }),

  lessons: (language) => invoke("lessons", { language }),
  lesson: (id, language) => invoke("lesson", { id, language }),
  runLessonCommand: (id, spot, number, onLines) => invoke("run_lesson_command", { id, spot, number, lines: channel(onLines) }),
  checkLesson: (id, spot) => invoke("check_lesson", { id, spot }),
  answerLesson: (id, spot, choice) => invoke("answer_lesson", { id, spot, choice }),
  resetLesson: (id) => invoke("reset_lesson", { id }),
  exportLesson: (id, language, answers, file) => invoke("export_lesson", { id, language, answers, file }),
  openLessonLink: (id, url) => invoke("open_lesson_link", { id, url }),

  viewClass: (wish, width, theme) => invoke("view_class", { wish, width, theme }),
  exportClass: (wish, format, file) => invoke("export_class_results", { wish, format, file }),
  createBundle: (request, file, onProgress) => invoke("create_bundle", { request, file, progress: channel(onProgress) }),
  foundBundles: () => invoke("found_bundles"),
  openBundle: (file, onProgress) => invoke("open_bundle", { file, progress: channel(onProgress) }),

  dataFolder: () => invoke("data_folder"),
  diskUse: () => invoke("disk_use"),
  outside: () => invoke("outside"),
  prune: () => invoke("prune"),
  login: (registry, name, secret) => invoke("login", { registry, name, secret }),
  logout: (registry) => invoke("logout", { registry }),
};
