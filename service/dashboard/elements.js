// Builds DOM nodes. Strings always become text nodes, so nothing that a job carries can turn into markup.

/** An HTML element; null and false attributes are left out, `on…` attributes are listeners. */
export function h(tag, attributes = {}, ...children) {
  return assemble(document.createElement(tag), attributes, children);
}

/** An SVG element, as `h`. */
export function svg(tag, attributes = {}, ...children) {
  return assemble(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function assemble(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const lastKeys = new WeakMap();

/**
 * Replaces the children of `node` only when `data` differs from the last call, so that a refresh
 * leaves focus, selection and scroll where nothing changed.
 */
export function fill(node, data, build) {
  const key = JSON.stringify(data);
  if (lastKeys.get(node) === key) return;
  lastKeys.set(node, key);
  node.replaceChildren(...[build(data)].flat(Infinity).filter((child) => child !== null));
}

/** A section with a heading; `body` is where its content goes. */
export function section(title, body, note = null) {
  const id = `section-${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
  return h("section", { "aria-labelledby": id },
    h("h2", { id }, title), note && h("p", { class: "note" }, note), body);
}
