// The rule that every text which the page writes comes from a catalogue. It
// reads the sources: what a person would read and stands in one is reported.

import { parse } from "svelte/compiler";
import ts from "typescript";
import { expect, it } from "vitest";

const SOURCES: Record<string, string> = import.meta.glob("../../**/*.{svelte,ts}", { query: "?raw", import: "default", eager: true });

/** Attributes that a person reads or hears, of elements and of our components. */
const READ = new Set(["alt", "aria-description", "aria-label", "aria-roledescription", "aria-valuetext", "heading", "label", "placeholder", "title", "words"]);

/** What no language has words for: the program's name, a database's null, and examples of what is typed. */
const NAMES = /^(Tandem|null|Ctrl|\d+:\d+|postgres:16|data:\/var\/lib\/data|registry\.example\.org)$/;

interface Node {
  type: string;
  start: number;
  [key: string]: unknown;
}

function isText(text: string): boolean {
  return /\p{L}{2}/u.test(text) && !NAMES.test(text.trim()) && !/^tandem /.test(text);
}

/** Strings that an expression of the markup may come to. */
function strings(node: Node | null | undefined): string[] {
  if (!node) return [];
  const of = (...keys: string[]) => keys.flatMap((key) => strings(node[key] as Node));
  switch (node.type) {
    case "Literal":
      return typeof node.value === "string" ? [node.value] : [];
    case "TemplateLiteral":
      return [...(node.quasis as { value: { cooked: string } }[]).map((one) => one.value.cooked), ...(node.expressions as Node[]).flatMap(strings)];
    case "ConditionalExpression":
      return of("consequent", "alternate");
    case "LogicalExpression":
      return of("left", "right");
    case "BinaryExpression":
      return node.operator === "+" ? of("left", "right") : [];
    default:
      return [];
  }
}

/** Texts in the markup of a component. */
function inMarkup(source: string): string[] {
  const found: string[] = [];
  const tell = (texts: string[]) => found.push(...texts.filter(isText));
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(walk);
    if (typeof node !== "object" || node === null) return;
    const one = node as Node;
    if (one.type === "StyleDirective") return;
    if (one.type === "Text") tell([one.data as string]);
    else if (one.type === "ExpressionTag") tell(strings(one.expression as Node));
    else if (one.type === "Attribute") {
      if (!READ.has(one.name as string) || one.value === true) return;
      for (const part of [one.value].flat() as Node[]) tell(part.type === "Text" ? [part.data as string] : strings(part.expression as Node));
    } else for (const [key, value] of Object.entries(one)) if (key !== "expression" && key !== "metadata") walk(value);
  };
  walk(parse(source, { modern: true }).fragment);
  return found;
}

/** A sentence or a title, and neither a command to type nor a query. */
function isSentence(text: string): boolean {
  const words = /\p{L}{2,}['’]?\p{L}* \p{L}{2,}/u.test(text) || /^\p{Lu}\p{Ll}+…?$/u.test(text) || /\p{L}…/u.test(text);
  return words && !/^(tandem|SELECT|CREATE) |var\(--/.test(text) && !NAMES.test(text);
}

/** What names a key or an element to the browser, and is shown to nobody. */
const KEYS = new Set(["Enter", "Escape", "Home", "End", "Dockerfile"]);

/** Sentences in a script. */
function inScript(source: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isTypeNode(node)) return;
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node)) {
      if (isSentence(node.text) && !KEYS.has(node.text)) found.push(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("x.ts", source, ts.ScriptTarget.ES2022));
  return found;
}

function textsOf(file: string, source: string): string[] {
  if (!file.endsWith(".svelte")) return inScript(source);
  const script = /<script[^>]*>([\s\S]*?)<\/script>/.exec(source)?.[1] ?? "";
  return [...inMarkup(source), ...inScript(script)];
}

it("sees a text wherever it may stand", () => {
  const component = `<script lang="ts">const a = "Not yet built"; const b = "sunk"; const c = x === "vm";</script>
    <p aria-label="Shown" class="soft words">Read {a ? "this" : \`and \${b} that\`}</p><Banner heading={"Said"} testid="no-text" />`;
  expect(textsOf("a.svelte", component).map((text) => text.trim())).toEqual(["Shown", "Read", "this", "and", "that", "Said", "Not yet built"]);
  expect(textsOf("b.ts", 'const q = "SELECT version()"; return `${n} steps are done`;')).toEqual([" steps are done"]);
  expect(textsOf("c.svelte", "<p>{say.lab.ready} · {text(bytes(1))}</p>")).toEqual([]);
});

it("finds every text in a catalogue", () => {
  const sources = Object.entries(SOURCES).filter(([file]) => !/\/bindings\/|\.test\.ts$|^\.\/|^\.\.\/messages\//.test(file));
  expect(sources.length).toBeGreaterThan(60);
  const found = sources.flatMap(([file, source]) => textsOf(file, source).map((text) => `${file}: ${text.trim()}`));
  expect(found).toEqual([]);
}, 60_000);
