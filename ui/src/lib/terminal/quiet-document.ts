// The content security policy of the window allows neither style elements nor
// style attributes that are written as text. The terminal makes both. It gets
// this view of the document, where the same styles become adopted sheets and
// properties, which are the program's own and allowed.

/** An element that stands for a style element. */
function sheetElement(document: Document): HTMLElement {
  const element = document.createElement("span");
  element.hidden = true;
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  let text = "";
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (value: string) => {
      text = value;
      sheet.replaceSync(value);
    },
  });
  const remove = element.remove.bind(element);
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    remove();
  };
  return element;
}

/**
 * Characters in a colour of their own are spans with a style attribute, made
 * past any view of the document: all spans take it through their properties.
 */
function quietSpans(): void {
  HTMLSpanElement.prototype.setAttribute = function (this: HTMLSpanElement, name: string, value: string) {
    if (name === "style") this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  };
}

export function quietDocument(document: Document): Document {
  quietSpans();
  const createElement = (tag: string): HTMLElement =>
    tag === "style" ? sheetElement(document) : document.createElement(tag);
  return new Proxy(document, {
    get(target, name) {
      if (name === "createElement") return createElement;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}
