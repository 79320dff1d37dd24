import { beforeEach, describe, expect, it, vi } from "vitest";
import { quietDocument } from "./quiet-document";

/** What the window's view has and the tests' has not. */
class Sheet {
  text = "";
  replaceSync(text: string) {
    this.text = text;
  }
}

beforeEach(() => {
  vi.stubGlobal("CSSStyleSheet", Sheet);
  Object.defineProperty(document, "adoptedStyleSheets", { value: [], writable: true, configurable: true });
});

describe("the document that the terminal sees", () => {
  it("makes no style element, and keeps its rules as a sheet until it is removed", () => {
    const element = quietDocument(document).createElement("style");
    document.body.append(element);
    element.textContent = ".row { color: red; }";
    expect(document.querySelector("style")).toBeNull();
    expect((document.adoptedStyleSheets as unknown as Sheet[]).map((sheet) => sheet.text)).toEqual([".row { color: red; }"]);
    element.remove();
    expect(document.adoptedStyleSheets).toEqual([]);
    expect(element.isConnected).toBe(false);
  });

  it("writes style attributes as properties", () => {
    quietDocument(document);
    const element = document.createElement("span");
    const attribute = vi.spyOn(Element.prototype, "setAttribute");
    element.setAttribute("style", "color: rgb(1, 2, 3);");
    expect(attribute).not.toHaveBeenCalled();
    expect(element.style.color).toBe("rgb(1, 2, 3)");
    element.setAttribute("role", "list");
    expect(element.getAttribute("role")).toBe("list");
    attribute.mockRestore();
  });

  it("is the document otherwise", () => {
    const quiet = quietDocument(document);
    expect(quiet instanceof Document).toBe(true);
    expect(quiet.body).toBe(document.body);
    expect(quiet.querySelector("body")).toBe(document.body);
  });
});
