// Where in a project's files something is wrong, from what was said. Pure.

/** A line of a file that something is wrong with. */
export interface Fault {
  file: string;
  /** From 1. */
  line: number;
  text: string;
}

/** The place that a build's failure names, as `Dockerfile:3: …`. */
export function faultOfBuild(message: string): Fault | null {
  const [sentence = ""] = message.split("\n");
  const found = /^(?:\S*\/)?((?:Dockerfile|Containerfile)[\w.-]*|\.dockerignore):(\d+)(?::\d+)?: ([\s\S]*)$/.exec(sentence);
  return found ? { file: found[1]!, line: Number(found[2]), text: found[3]! } : null;
}

/** The last place in one of these files that a Python traceback in these lines names. */
export function faultOfPython(lines: readonly string[], files: readonly string[]): Fault | null {
  for (let at = lines.length - 1; at >= 0; at -= 1) {
    const found = /^\s*File "(?:[^"]*\/)?([^"/]+)", line (\d+)/.exec(lines[at]!);
    if (!found || !files.includes(found[1]!)) continue;
    const error = lines.slice(at + 1).find((line) => /^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning)\b/.test(line));
    return error === undefined ? null : { file: found[1]!, line: Number(found[2]), text: error };
  }
  return null;
}
