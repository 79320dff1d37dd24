// Every command that the page shows, in `commands.json`, which a test of the
// command's grammar reads too: what a person copies can be typed.

import ts from "typescript";
import { describe, expect, it } from "vitest";
import type { ExperimentRequest } from "./bindings/ExperimentRequest";
import type { RunWish } from "./bindings/RunWish";
import { buildCommand, command, compareCommand, experimentCommand, quote, runCommand } from "./command";
import kept from "./commands.json";

const SOURCES: Record<string, string> = import.meta.glob("./**/*.{svelte,ts}", { query: "?raw", import: "default", eager: true });

/** What stands for a value: a number where one is made into text, one of them where there are few. */
function value(node: ts.Expression, source: ts.SourceFile): string {
  if (ts.isStringLiteralLike(node)) return node.text;
  const text = node.getText(source);
  if (text === "this.ending") return "html";
  return text === "ending" ? "svg" : /^String\(/.test(text) ? "1" : "x";
}

/** Words of a call: each choice of words that may be left out is taken. */
function words(all: readonly ts.Expression[], source: ts.SourceFile): string[] {
  return all.flatMap((one) => {
    if (!ts.isSpreadElement(one)) return [value(one, source)];
    let inner: ts.Expression = one.expression;
    while (ts.isParenthesizedExpression(inner)) inner = inner.expression;
    if (ts.isConditionalExpression(inner)) inner = inner.whenTrue;
    return ts.isArrayLiteralExpression(inner) ? words(inner.elements, source) : ["x", "y"];
  });
}

function shown(file: string, text: string): string[] {
  const script = file.endsWith(".svelte") ? (/<script[^>]*>([\s\S]*?)<\/script>/.exec(text)?.[1] ?? "") : text;
  const source = ts.createSourceFile("x.ts", script, ts.ScriptTarget.ES2022, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.expression.getText(source) === "command" && node.arguments.length > 0) {
      // Words that are gathered in a list are told below.
      if (node.arguments[0] && ts.isStringLiteralLike(node.arguments[0])) found.push(command(...words(node.arguments, source)));
    } else if (ts.isStringLiteralLike(node) && /^tandem [a-z]/.test(node.text)) found.push(...node.text.split(" && "));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Those whose words are gathered. */
function gathered(): string[] {
  const wish: RunWish = { image: "hello-flask", backend: "vm", name: "web", ports: ["80:8080"], env: ["A=b c"], volumes: ["data:/data"], memory: "256m", cpus: "1.5" };
  const request = { experiment: "startup", subject: "hello-flask", lanes: ["container", "vm/micro@tcg"], trials: 6, prediction: "ten times" } as unknown as ExperimentRequest;
  const usual = { ...request, lanes: ["container", "vm/micro"], warmup: 0, time_limit_s: 120, resources: { memory_bytes: null, milli_cpus: null, pids: null } };
  const compare = { ...request, warmup: 1, seed: 7, resources: { memory_bytes: 2 ** 28, milli_cpus: 1500, pids: null }, port: 8080, time_limit_s: 60, keep: true };
  const built = buildCommand("app", "/home/me/app", ["python:3.12-slim cannot be fetched: a base made from Debian packages stands in", "localhost/tandem/python:3.11-bookworm stands in for python:3.12-slim"]);
  return [built, buildCommand("app", "/home/me/app"), runCommand(wish), experimentCommand(request), compareCommand(compare, usual), command("update", "--memory", "512m", "--cpus", "1.5", "web"), ...["restart", "pause", "unpause"].map((one) => command(one, "web"))];
}

describe("the commands of the page", () => {
  it("are those that the command's own test reads", () => {
    const sources = Object.entries(SOURCES).filter(([file]) => !/\.test\.ts$|\/bindings\/|\/messages\//.test(file));
    const all = [...sources.flatMap(([file, text]) => shown(file, text)), ...gathered()];
    expect(all.length).toBeGreaterThan(30);
    expect([...new Set(all)].sort()).toEqual(kept.commands);
  });

  it("have their words quoted so that a shell reads them back", () => {
    for (const [word, quoted] of kept.quoted as [string, string][]) expect(quote(word)).toBe(quoted);
  });
});
