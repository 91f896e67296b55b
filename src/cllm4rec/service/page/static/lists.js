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
  if (session.user === null) return session.history.length ? "A history of your own." : "";
  if (!session.changed) return `User ${session.user}, as known to the model.`;
  return `Began as user ${session.user}; changed here, and asked for by history alone.`;
}

/**
 * Fills one ranked list.
 *
 * @param list   the <ol>
 * @param items  [{item_id, title, score, rank, reasons}]
 * @param other  item id → its rank in the list beside it
 * @param from   name of the list beside it
 * @param add    called with {id, title} when an item is chosen
 */
export function drawRanked(list, items, other, from, add) {
  const strongest = Math.max(
    1e-12,
    ...items.flatMap((item) => (item.reasons ?? []).map((reason) => Math.abs(reason.effect))),
  );
  list.replaceChildren(...items.map((item) => entry(item, other, from, add, strongest)));
}

function entry(item, other, from, add, strongest) {
  const title = item.title || item.item_id;
  const rank = other.get(item.item_id);
  const about = make("p", { class: "about" });
  const text = make("p", { class: "text" });
  describe(item.item_id, about, text);
  const shared = rank ? make("span", { class: "shared" }, `${from} ${rank}`) : null;
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
      because(item.reasons, strongest),
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
  if (!reasons?.length) return null;
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
  return make(
    "div",
    { class: "because" },
    make("p", {}, "because of"),
    make("ul", { role: "list" }, ...rows),
  );
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
