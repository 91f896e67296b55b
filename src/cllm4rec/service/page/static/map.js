// The map of the catalogue: fetches it, draws it, and answers to pointer, keys and search.

import { catalogueMap } from "./api.js";
import { combobox } from "./combobox.js";
import { announce, byId, counted } from "./dom.js";
import { draw, placeOf, themeColours } from "./map-draw.js";
import { listen } from "./map-gestures.js";
import { drawLegend, drawWords, showChosen, valuesOf } from "./map-words.js";
import { View } from "./map-view.js";

const REACH = 16; // pixels within which a pointer means a point
const ASK_AGAIN_MS = 1500;

/** The map's place on the page. `add` is called with {id, title} to put an item in the history. */
export class CatalogueMap {
  #canvas = byId("map-canvas");
  #view = new View();
  #number = new Map();
  #scene = null;
  #due = false;
  #bounds = null;
  #attribute = null;
  #category = null;
  #marks = { history: [], recommended: [] };
  #add;

  constructor(add) {
    this.#add = add;
  }

  /** Waits until the service has drawn the map, then shows it. */
  async start() {
    for (;;) {
      const map = await catalogueMap();
      if (map.state === "ready") return this.#show(map);
      if (map.state === "failed") throw new Error(map.message);
      byId("map-state").hidden = false;
      await new Promise((done) => setTimeout(done, ASK_AGAIN_MS));
    }
  }

  /** Marks the history and the recommended items, best first; both as ids. */
  mark(history, recommended) {
    this.#marks = { history, recommended };
    if (!this.#scene) return;
    const numbers = (ids) => ids.map((id) => this.#number.get(id) ?? -1);
    this.#scene.history = numbers(history).filter((item) => item >= 0);
    this.#scene.recommended = numbers(recommended);
    this.#words();
    this.redraw();
  }

  /** Shows an item by its id, if it is on the map. */
  find(id) {
    const item = this.#number.get(id);
    if (item === undefined) return announce("This item is not drawn on the map.");
    this.select(item);
  }

  select(item) {
    this.#scene.selected = item;
    this.#view.lookAt(placeOf(this.#scene.map, item), Math.max(3, this.#view.zoom));
    this.#chosen(item);
  }

  redraw() {
    if (this.#due || !this.#scene) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      draw(this.#canvas, this.#scene);
      this.#canvas.dataset.drawn = String(Number(this.#canvas.dataset.drawn ?? 0) + 1);
    });
  }

  /** Ids of the items that a filter of `#only` lets through; null where there is none. */
  idsOf(filter) {
    if (!filter) return null;
    const { attributes, ids } = this.#scene.map;
    const [attribute, code] = filter.split(":").map(Number);
    return ids.filter((_, item) => attributes[attribute].codes[item].includes(code));
  }

  #show(map) {
    byId("map-state").hidden = true;
    byId("map-body").hidden = false;
    map.ids.forEach((id, item) => this.#number.set(id, item));
    this.#scene = {
      view: this.#view,
      map,
      colours: themeColours(this.#canvas),
      colourOf: null,
      highlighted: null,
      history: [],
      recommended: [],
      selected: null,
      hovered: null,
      aim: false,
    };
    byId("map-size").textContent = sizeOf(map);
    offerFilters(map);
    this.#bounds = boundsOf(map);
    this.#wire(map);
    this.#colourBy(map.attributes[0] ?? null);
    this.#fit();
    this.#view.whole();
    this.mark(this.#marks.history, this.#marks.recommended);
  }

  #wire(map) {
    const choice = byId("map-colour");
    choice.replaceChildren(...map.attributes.map((each, place) => new Option(each.name, place)));
    choice.addEventListener("change", () => this.#colourBy(map.attributes[choice.value]));
    choice.closest(".field").hidden = map.attributes.length < 2;

    listen(this.#canvas, this.#view, {
      moved: () => this.redraw(),
      hover: (point) => this.#hover(point),
      choose: (point) => this.#choose(point),
    });
    this.#canvas.addEventListener("focus", () => this.#aim(this.#canvas.matches(":focus-visible")));
    this.#canvas.addEventListener("keydown", () => this.#aim(true));
    this.#canvas.addEventListener("pointerdown", () => this.#aim(false));
    this.#canvas.addEventListener("blur", () => this.#aim(false));
    byId("map-in").addEventListener("click", () => this.#zoom(1.6));
    byId("map-out").addEventListener("click", () => this.#zoom(1 / 1.6));
    byId("map-whole").addEventListener("click", () => this.#zoom(0));
    combobox(byId("map-search"), {
      search: async (text) => this.#titled(text),
      pick: (item) => this.find(item.id),
      noun: "item",
      keeps: true,
    });
    byId("map-words").addEventListener("toggle", () => this.#words());
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#scene.colours = themeColours(this.#canvas);
      this.#colourBy(this.#attribute);
    });
  }

  #words() {
    drawWords(this.#scene, (item) => this.select(item));
  }

  #fit() {
    const { clientWidth, clientHeight } = this.#canvas;
    if (!clientWidth) return;
    this.#view.resize(clientWidth, clientHeight, this.#bounds);
    this.redraw();
  }

  #zoom(factor) {
    if (factor) this.#view.zoomBy(factor);
    else this.#view.whole();
    this.#canvas.classList.toggle("zoomed", this.#view.zoom > 1.01);
    this.redraw();
  }

  #aim(shown) {
    this.#scene.aim = shown;
    this.redraw();
  }

  /** Items whose title begins with, else contains, the text; best known first. */
  #titled(text) {
    const wanted = text.toLocaleLowerCase();
    const { ids, titles } = this.#scene.map;
    const found = titles
      .map((title, item) => [title.toLocaleLowerCase().indexOf(wanted), item])
      .filter(([place]) => place >= 0)
      .sort((a, b) => (a[0] > 0) - (b[0] > 0) || a[1] - b[1])
      .slice(0, 12);
    return found.map(([, item]) => ({ id: ids[item], title: titles[item] }));
  }

  #colourBy(attribute) {
    const { map, colours } = this.#scene;
    this.#attribute = attribute;
    this.#category = null;
    // Of several values the rarest says most; the labels of a category come commonest first.
    const codes = attribute?.codes.map((each) => (each.length ? Math.max(...each) : -1));
    this.#scene.colourOf = {
      codes: codes ?? new Array(map.ids.length).fill(-1),
      palette: attribute?.kind === "numbers" ? colours.numbers : colours.categories,
    };
    this.#highlight(null);
  }

  #highlight(category) {
    this.#category = this.#category === category ? null : category;
    const chosen = this.#category;
    const codes = this.#attribute?.codes;
    this.#scene.highlighted =
      chosen === null ? null : (item) => codes[item].includes(chosen);
    drawLegend(this.#attribute, chosen, (code) => this.#highlight(code));
    this.redraw();
  }

  #nearest(point, reach) {
    const { map, view, highlighted } = this.#scene;
    let best = null;
    let distance = reach;
    for (let item = 0; item < map.ids.length; item++) {
      if (highlighted && !highlighted(item)) continue;
      const [x, y] = view.point(placeOf(map, item));
      const away = Math.hypot(x - point[0], y - point[1]);
      if (away < distance) [best, distance] = [item, away];
    }
    return best;
  }

  #hover(point) {
    const item = point && this.#nearest(point, REACH);
    const tip = byId("map-tip");
    this.#canvas.classList.toggle("pointing", item !== null);
    if (item !== this.#scene.hovered) {
      this.#scene.hovered = item;
      this.redraw();
    }
    tip.hidden = item === null;
    if (item === null) return;
    const { map, view } = this.#scene;
    tip.querySelector("strong").textContent = map.titles[item];
    tip.querySelector("span").textContent = valuesOf(map, item);
    const [x, y] = view.point(placeOf(map, item));
    const left = Math.min(x + 16, view.width - tip.offsetWidth - 4);
    const top = y + 18 + tip.offsetHeight > view.height ? y - 18 - tip.offsetHeight : y + 18;
    tip.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
  }

  #choose(point) {
    const item = this.#nearest(point, this.#scene.aim ? Infinity : REACH);
    if (item !== null) this.#scene.selected = item;
    if (item !== null) this.#chosen(item);
  }

  #chosen(item) {
    const { map } = this.#scene;
    this.#canvas.classList.toggle("zoomed", this.#view.zoom > 1.01);
    this.redraw();
    announce(`${map.titles[item]} chosen on the map`);
    showChosen(map, item, {
      add: () => this.#add({ id: map.ids[item], title: map.titles[item] }),
      find: (id) => this.find(id),
    });
  }
}

/** The lists can be narrowed to what the map has a colour for. */
function offerFilters(map) {
  const only = byId("only");
  map.attributes.forEach((attribute, place) => {
    const group = document.createElement("optgroup");
    group.label = attribute.name;
    attribute.labels.forEach((label, code) => group.append(new Option(label, `${place}:${code}`)));
    only.append(group);
  });
  only.closest("label").hidden = map.attributes.length === 0;
}

function boundsOf(map) {
  const along = (units) => [units.reduce((a, b) => Math.min(a, b), 10000), Math.max(...units)];
  const [[left, right], [top, foot]] = [map.x, map.y].map(along);
  const places = [left, top, Math.max(right, left + 1), Math.max(foot, top + 1)];
  const [x, y, farX, farY] = places.map((units) => units / 10000);
  return { low: [x, y], high: [farX, farY] };
}

function sizeOf(map) {
  const left = map.items - map.ids.length;
  const parts = [
    left
      ? `The ${counted(map.ids.length, "best-known item")} of ${map.items.toLocaleString("en")}.`
      : `${counted(map.items, "item")}.`,
  ];
  if (map.unlearned) {
    parts.push(
      `${counted(map.unlearned, "item")} without a training interaction ` +
        `${map.unlearned === 1 ? "stands" : "stand"} in the rows at the foot.`,
    );
  }
  return parts.join(" ");
}
