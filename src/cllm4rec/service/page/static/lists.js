// The history and the two ranked lists.

import { detail } from "./api.js";
import { byId, counted, make } from "./dom.js";

/** The history as rows with a button to take each away; the newest first, as one thinks of it. */
export function drawHistory(session, remove) {
  const rows = [...session.history].reverse().map((item) =>
    make(
      "li",
      {},
      make("span", {}, item.title),
      make(
        "button",
        {
          type: "button",
          class: "remove",
          "aria-label": `Remove ${item.title} from the history`,
          onclick: () => remove(item),
        },
        "×",
      ),
    ),
  );
  byId("history").replaceChildren(...rows);
  byId("history-count").textContent = rows.length ? counted(rows.length, "item") : "";
  byId("clear").hidden = session.empty;
  byId("history-empty").hidden = !session.empty;
  byId("whose").textContent = whose(session);
}

function whose(session) {
  if (session.profile) return `Somebody with ${session.profile}.`;
  if (session.user === null) return session.history.length ? "A history of your own." : "";
  if (!session.changed) return `User ${session.user}, as known to the model.`;
  return `User ${session.user}, with changes made here: the lists follow the history alone.`;
}

/**
 * Fills one ranked list.
 *
 * @param list   the <ol>
 * @param items  [{item_id, title, score, rank, reasons}]
 * @param other  item id → its rank in the list beside it
 * @param from   name of the list beside it
 * @param add    called with {id, title} when an item is chosen
 * @param asked  whether reasons are on their way; room is kept for them
 */
export function drawRanked(list, items, other, from, add, asked = false) {
  list.replaceChildren(...items.map((item) => entry(item, other, from, add, asked)));
}

/** Puts measured reasons under the items that a list shows; all bars have one scale. */
export function drawReasons(list, items) {
  const effects = items.flatMap((item) => (item.reasons ?? []).map((reason) => reason.effect));
  const strongest = Math.max(1e-12, ...effects.map(Math.abs));
  const reasons = new Map(items.map((item) => [item.item_id, item.reasons]));
  for (const row of list.children) {
    const place = row.querySelector(".because");
    place.replaceChildren(...because(reasons.get(row.dataset.item), strongest));
    place.classList.remove("asked");
  }
}

/** Gives up the room that was kept for reasons. */
export function dropReasons(list) {
  for (const place of list.querySelectorAll(".asked")) place.classList.remove("asked");
}

function entry(item, other, from, add, asked) {
  const title = item.title || item.item_id;
  const rank = other.get(item.item_id);
  const about = make("p", { class: "about" });
  const text = make("p", { class: "text" });
  describe(item.item_id, about, text);
  const unseen = make("span", { class: "unseen" }, "also in the list of ");
  const shared = rank ? make("span", { class: "shared" }, unseen, `${from} ${rank}`) : null;
  return make(
    "li",
    { "data-item": item.item_id, class: rank ? "is-shared" : null },
    make("span", { class: "rank", "aria-hidden": "true" }, String(item.rank)),
    make(
      "div",
      {},
      make(
        "div",
        { class: "line" },
        make(
          "button",
          {
            type: "button",
            class: "title",
            title: "Add to the history",
            onclick: () => add({ id: item.item_id, title }),
          },
          title,
          make("span", { class: "unseen" }, ": add to the history"),
        ),
        shared,
      ),
      about,
      text,
      make("div", { class: asked ? "because asked" : "because" }),
    ),
  );
}

async function describe(id, about, text) {
  const known = await detail(id).catch(() => null);
  if (!known) return;
  about.textContent = attributeLine(known.attributes);
  text.textContent = known.text ?? "";
}

/** "1995 · Comedy, Drama": the values, without the names that one would guess. */
export function attributeLine(attributes) {
  return Object.values(attributes ?? {})
    .filter(Boolean)
    .join(" · ");
}

function because(reasons, strongest) {
  if (!reasons?.length) return [];
  const rows = reasons.map((reason) => {
    const share = Math.max(1, Math.round((100 * Math.abs(reason.effect)) / strongest));
    const against = reason.effect < 0;
    return make(
      "li",
      { class: against ? "against" : null },
      make("span", { class: "reason" }, reason.title || reason.item_id),
      make("span", { class: "effect" }, signed(reason.effect)),
      bar(share),
    );
  });
  return [make("p", {}, "because of"), make("ul", { role: "list" }, ...rows)];
}

// An SVG's size is an attribute, not a style: the page's policy allows no inline styles.
function bar(share) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("class", "bar");
  drawing.setAttribute("aria-hidden", "true");
  const rectangle = document.createElementNS(space, "rect");
  rectangle.setAttribute("width", `${share}%`);
  rectangle.setAttribute("height", "100%");
  drawing.append(rectangle);
  return drawing;
}

function signed(effect) {
  return `${effect < 0 ? "−" : "+"}${Math.abs(effect).toFixed(2)}`;
}
