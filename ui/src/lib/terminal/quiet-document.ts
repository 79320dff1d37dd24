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

/** An element whose style attribute goes through its properties. */
function withProperties(element: HTMLElement): HTMLElement {
  const set = element.setAttribute.bind(element);
  element.setAttribute = (name: string, value: string) => {
    if (name === "style") element.style.cssText = value;
    else set(name, value);
  };
  return element;
}

export function quietDocument(document: Document): Document {
  const createElement = (tag: string): HTMLElement =>
    tag === "style" ? sheetElement(document) : withProperties(document.createElement(tag));
  return new Proxy(document, {
    get(target, name) {
      if (name === "createElement") return createElement;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}
