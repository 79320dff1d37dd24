// A chart from the program, made into nodes of this page.
//
// The program escapes every foreign name it writes into a picture. This is the
// second wall: only the elements and attributes that charts are made of get
// through, so nothing in a picture can run, load or link anything.

const ELEMENTS = new Set([
  "svg", "g", "title", "desc", "rect", "line", "path", "polyline", "polygon", "circle", "ellipse", "text", "tspan",
]);

/** Without a family: letters in the page are the page's own. */
const ATTRIBUTES = new Set([
  "viewBox", "width", "height", "role", "aria-label", "data-lane",
  "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "dx", "dy", "d", "points", "transform",
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap",
  "stroke-linejoin", "opacity", "font-size", "font-weight", "font-style", "text-anchor",
  "dominant-baseline", "letter-spacing",
]);

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** The picture as a node to insert, its words as `say` has them; null when the text is not an SVG document. */
export function parseSvg(text: string, say: (words: string) => string = (words) => words): SVGSVGElement | null {
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
  const root = parsed.documentElement;
  if (root.namespaceURI !== SVG_NAMESPACE || root.localName !== "svg") return null;
  if (parsed.getElementsByTagName("parsererror").length > 0) return null;
  clean(root, say);
  return document.importNode(root, true) as unknown as SVGSVGElement;
}

function clean(element: Element, say: (words: string) => string): void {
  for (const attribute of [...element.attributes]) {
    const namespace = attribute.name === "xmlns";
    if (!namespace && (!ATTRIBUTES.has(attribute.name) || attribute.value.includes("url("))) {
      element.removeAttributeNode(attribute);
    }
  }
  for (const node of [...element.childNodes]) {
    if (node.nodeType === Node.ELEMENT_NODE) {
      const child = node as Element;
      if (child.namespaceURI === SVG_NAMESPACE && ELEMENTS.has(child.localName)) clean(child, say);
      else child.remove();
    } else if (node.nodeType !== Node.TEXT_NODE) {
      node.parentNode?.removeChild(node);
    } else if (["text", "tspan", "title"].includes(element.localName)) {
      node.nodeValue = say(node.nodeValue ?? "");
    }
  }
}
