// What stands beside the map in words: legend, the chosen item, and the marked items' neighbours.

import { detail, similar, titleOf } from "./api.js";
import { byId, make } from "./dom.js";
import { attributeLine } from "./lists.js";
import { placeOf } from "./map-draw.js";

const SIMILAR = 8;
const NEIGHBOURS = 3;
const NEWEST = 30; // items of the history that are put into words

/** Buttons of the categories; pressing one leaves only its items bright. */
export function drawLegend(attribute, chosen, press) {
  const labels = attribute?.labels ?? [];
  const swatch = attribute?.kind === "numbers" ? "n" : "c";
  const buttons = labels.map((label, code) =>
    make(
      "li",
      {},
      make(
        "button",
        {
          type: "button",
          "aria-pressed": String(code === chosen),
          onclick: () => press(code),
        },
        make("i", { class: `swatch ${swatch}${code}`, "aria-hidden": "true" }),
        label,
      ),
    ),
  );
  if (attribute?.others) {
    const other = make("i", { class: "swatch other", "aria-hidden": "true" });
    buttons.push(make("li", { class: "plain" }, other, "other"));
  }
  byId("map-legend").replaceChildren(...buttons);
  byId("map-legend").setAttribute("aria-label", `Colours: ${attribute?.name ?? "none"}`);
}

/** "genres: Comedy, Drama · year: 1994–1996", as far as the map knows. */
export function valuesOf(map, item) {
  return map.attributes
    .filter((attribute) => attribute.codes[item].length)
    .map((attribute) => {
      const labels = attribute.codes[item].map((code) => attribute.labels[code]);
      return `${attribute.name}: ${labels.join(", ")}`;
    })
    .join(" · ");
}

/** Title, attributes and most similar items of the chosen item. */
export async function showChosen(map, item, { add, find }) {
  const id = map.ids[item];
  const about = make("p", { class: "about" }, "");
  const text = make("p", { class: "text" }, "");
  const list = make("ol", { class: "near", role: "list" });
  byId("map-chosen").replaceChildren(
    make("h3", {}, map.titles[item]),
    about,
    text,
    make("button", { type: "button", class: "plainly", onclick: add }, "Add to the history"),
    make("h4", {}, "Most similar to the model"),
    list,
  );
  const [known, alike] = await Promise.all([
    detail(id).catch(() => null),
    similar(id, SIMILAR).catch(() => []),
  ]);
  about.textContent = attributeLine(known?.attributes);
  text.textContent = known?.text ?? "";
  list.replaceChildren(
    ...alike.map((each) =>
      make(
        "li",
        {},
        make("button", { type: "button", onclick: () => find(each.item_id) }, titleOf(each)),
      ),
    ),
  );
}

/** The map in words, where it is unfolded: the marked items, each with those nearest to it. */
export function drawWords(scene, select) {
  if (!byId("map-words").open) return;
  const newest = [...scene.history].reverse().slice(0, NEWEST);
  const marked = [
    ...scene.recommended.map((item, place) => [item, `recommended, ${place + 1}`]),
    ...newest.map((item) => [item, "history"]),
  ].filter(([item]) => item >= 0);
  const { map } = scene;
  const rows = marked.map(([item, role]) =>
    make(
      "tr",
      {},
      make(
        "th",
        { scope: "row" },
        make("button", { type: "button", onclick: () => select(item) }, map.titles[item]),
      ),
      make("td", {}, role),
      make("td", {}, nearest(map, item).map((other) => map.titles[other]).join("; ")),
    ),
  );
  byId("map-rows").replaceChildren(...rows);
  byId("map-no-rows").hidden = rows.length > 0;
}

function nearest(map, item) {
  const [x, y] = placeOf(map, item);
  return map.ids
    .map((_, other) => {
      const [right, down] = placeOf(map, other);
      return [Math.hypot(right - x, down - y), other];
    })
    .filter(([, other]) => other !== item)
    .sort((a, b) => a[0] - b[0])
    .slice(0, NEIGHBOURS)
    .map(([, other]) => other);
}
