import { describe, expect, it } from "vitest";
import { parseSvg } from "./svg";

const wrap = (body: string) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10" onload="alert(1)">${body}</svg>`;

describe("parseSvg", () => {
  it("keeps what charts are made of", () => {
    const node = parseSvg(wrap(`<title>t</title><g data-lane="container"><rect x="1" y="2" width="3" height="4" fill="#fff"/><text x="1" font-size="12">a &lt;b&gt;</text></g>`));
    expect(node?.querySelector("rect")?.getAttribute("fill")).toBe("#fff");
    expect(node?.querySelector("text")?.textContent).toBe("a <b>");
    expect(node?.getAttribute("viewBox")).toBe("0 0 10 10");
  });

  it("leaves the letters to the page, and their sizes to the picture", () => {
    const node = parseSvg(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" font-family="serif" style="font-variant-numeric:tabular-nums"><text font-size="16" font-weight="600" font-family="serif">1</text></svg>`);
    expect(node?.outerHTML).not.toMatch(/family|style/);
    expect(node?.querySelector("text")?.getAttribute("font-size")).toBe("16");
  });

  it("drops everything that could run, load or link", () => {
    const node = parseSvg(
      wrap(
        `<script>alert(1)</script><foreignObject><b xmlns="http://www.w3.org/1999/xhtml">x</b></foreignObject>` +
          `<a href="javascript:alert(1)"><text>x</text></a><image href="http://example.org/x.png"/>` +
          `<use href="#a"/><animate attributeName="x"/><style>@import "x"</style>` +
          `<rect onclick="alert(1)" style="fill:url(x)" fill="url(http://example.org)" width="1"/>`,
      ),
    );
    const html = node?.outerHTML ?? "";
    for (const bad of ["script", "foreignObject", "href", "image", "use", "animate", "style", "onload", "onclick", "url("]) {
      expect(html, bad).not.toContain(bad);
    }
    expect(node?.querySelector("rect")?.getAttribute("width")).toBe("1");
  });

  it("refuses what is not an SVG document", () => {
    expect(parseSvg("<p>hello</p>")).toBeNull();
    expect(parseSvg("<svg")).toBeNull();
    expect(parseSvg(`<svg xmlns="http://www.w3.org/1999/xhtml"/>`)).toBeNull();
  });
});
