// Elements are made with text nodes and attributes only: titles and texts are never read as HTML.

/** An element with attributes, listeners (`onclick: f`) and children (elements or texts). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element with this id; it is in the page's template. */
export function byId(id) {
  return document.getElementById(id);
}

/** Says something to screen readers without moving the focus. */
export function announce(text) {
  byId("status").textContent = text;
}

/** "1 item", "2 items". */
export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Calls `work` once the calls have stopped for some milliseconds. */
export function settled(work, milliseconds) {
  let timer = 0;
  const call = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}
