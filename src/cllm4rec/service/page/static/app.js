// The page: who is asked for, the two lists, and the map that shows both.

import { compare, findItems, findUsers, historyOf, detail, recommend, titleOf } from "./api.js";
import { combobox } from "./combobox.js";
import { announce, byId, counted } from "./dom.js";
import { drawHistory, drawRanked, drawReasons, dropReasons } from "./lists.js";
import { CatalogueMap } from "./map.js";
import { asked, Session } from "./session.js";

const session = new Session(changed);
const words = byId("query"); // null where the run answers no words
const properties = byId("profile"); // null where the run knows no properties of its users
const map = new CatalogueMap((item) => session.add(item));
let asking = null;

function changed(change) {
  drawHistory(session, (item) => {
    const place = placeOfFocus(byId("history"));
    session.remove(item.id);
    focusAt(byId("history"), place, byId("item"));
  });
  byId("user").value = session.user !== null && !session.changed ? session.user : "";
  if (properties) properties.value = session.profile;
  refresh(change);
}

/** Asks for both lists anew; an answer that is no longer wanted is dropped. */
async function refresh(change) {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  showError(null);
  const nothing = session.silent;
  byId("lists").hidden = nothing;
  byId("lists-empty").hidden = !nothing;
  if (nothing) {
    map.mark([], []);
    announce("The history is empty.");
    return;
  }
  const question = {
    ...session.question(),
    k: Number(byId("length").value),
    include: map.idsOf(byId("only").value),
  };
  const lists = byId("lists");
  lists.setAttribute("aria-busy", "true");
  try {
    const [ours, theirs] = await Promise.all([
      recommend(question, mine.signal),
      compare(question, mine.signal).catch((error) => {
        if (error.name === "AbortError") throw error;
        return error;
      }),
    ]);
    if (asking !== mine) return;
    show(ours, theirs);
    announce(told(change, ours));
    lists.removeAttribute("aria-busy");
    if (byId("explain").checked) await explain(question, mine);
  } catch (error) {
    if (error.name !== "AbortError" && asking === mine) showError(error.message);
  } finally {
    if (asking === mine) lists.removeAttribute("aria-busy");
  }
}

/** Reasons take a pass for every item of the history: they come after the lists. */
async function explain(question, mine) {
  try {
    const reasoned = await recommend({ ...question, explain: true }, mine.signal);
    if (asking === mine) drawReasons(byId("ours"), reasoned);
  } catch (error) {
    if (error.name === "AbortError" || asking !== mine) return;
    dropReasons(byId("ours"));
    byId("reasons-error").textContent = `Reasons could not be measured. ${error.message}`;
  }
}

function show(ours, theirs) {
  byId("reasons-error").textContent = "";
  const asked = byId("explain").checked;
  const ease = Array.isArray(theirs) ? theirs : [];
  byId("ease-error").textContent = Array.isArray(theirs) ? knowsNone(ours, ease) : theirs.message;
  const add = (item) => session.add(item);
  const ranks = (items) => new Map(items.map((item) => [item.item_id, item.rank]));
  const shared = ours.filter((item) => ranks(ease).has(item.item_id)).length;
  byId("shared").textContent = ease.length ? `${shared} of ${ours.length} are in both lists.` : "";
  keepingFocus(byId("ours"), () => drawRanked(byId("ours"), ours, ranks(ease), "EASE", add, asked));
  keepingFocus(byId("ease"), () => drawRanked(byId("ease"), ease, ranks(ours), byId("ours-title").textContent, add));
  map.mark(session.ids, ours.map((item) => item.item_id));
}

/** Why EASE's list is empty beside ours. */
function knowsNone(ours, ease) {
  return ours.length && !ease.length ? "EASE knows no item of this history." : "";
}

/** What changed and what came of it, for those who do not see it. */
function told(change, ours) {
  const first = ours.length ? `; the first is ${titleOf(ours[0])}` : "";
  const what = {
    added: () => `${change.item.title} added. `,
    removed: () => `${change.item.title} removed. `,
    described: () => (change.profile ? `Somebody with ${change.profile}. ` : ""),
    said: () => (change.query ? `Looked for ${change.query}. ` : "No words. "),
    user: () => (session.user === null ? "" : `User ${session.user}. `),
  };
  return `${what[change?.kind]?.() ?? ""}${counted(ours.length, "recommendation")}${first}.`;
}

function showError(message) {
  byId("error").hidden = message === null;
  byId("error-text").textContent = message ?? "";
}

// A list that is drawn anew must not lose the keyboard's place in it.

function placeOfFocus(list) {
  return [...list.children].findIndex((row) => row.contains(document.activeElement));
}

function focusAt(list, place, instead) {
  if (place < 0) return;
  const row = list.children[Math.min(place, list.children.length - 1)];
  (row?.querySelector("button") ?? instead).focus({ preventScroll: true });
}

function keepingFocus(list, redraw) {
  const place = placeOfFocus(list);
  redraw();
  focusAt(list, place, byId("item"));
}

/** The item in both lists is lit while one of the two is pointed at or focused. */
function lightBoth() {
  const lists = byId("lists");
  const light = (target) => {
    const id = target?.closest?.("[data-item]")?.dataset.item;
    for (const row of lists.querySelectorAll("[data-item]")) {
      row.classList.toggle("lit", id !== undefined && row.dataset.item === id);
    }
  };
  lists.addEventListener("pointerover", (event) => light(event.target));
  lists.addEventListener("pointerleave", () => light(null));
  lists.addEventListener("focusin", (event) => light(event.target));
  lists.addEventListener("focusout", () => light(null));
}

async function become(user) {
  showError(null);
  try {
    session.become(user, await historyOf(user));
  } catch (error) {
    showError(error.message);
  }
}

async function begin() {
  document.documentElement.classList.add("scripted");
  combobox(byId("user"), {
    search: findUsers,
    pick: (user) => become(user.id),
    noun: "user",
    keeps: true,
  });
  combobox(byId("item"), { search: findItems, pick: (item) => session.add(item), noun: "item" });
  byId("user-form").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => {
    session.clear();
    byId("item").focus();
  });
  words?.form.addEventListener("submit", (event) => {
    event.preventDefault();
    session.say(words.value.trim());
  });
  words?.addEventListener("change", () => session.say(words.value.trim()));
  properties?.form.addEventListener("submit", (event) => {
    event.preventDefault();
    session.describe(properties.value.trim());
  });
  properties?.addEventListener("change", () => session.describe(properties.value.trim()));
  byId("length").addEventListener("change", () => refresh(null));
  byId("explain").addEventListener("change", () => refresh(null));
  byId("only").addEventListener("change", () => refresh(null));
  for (const button of document.querySelectorAll("[data-start]")) {
    const item = { id: button.dataset.start, title: button.textContent };
    button.addEventListener("click", () => {
      session.add(item);
      byId("item").focus();
    });
  }
  byId("again").addEventListener("click", () => refresh(null));
  lightBoth();

  const wanted = asked(location);
  if (words && wanted.query) session.query = words.value = wanted.query;
  if (properties && wanted.profile) {
    session.describe(wanted.profile);
  } else if (wanted.user !== null) {
    await become(wanted.user);
  } else if (wanted.items.length) {
    const known = await Promise.all(wanted.items.map((id) => detail(id).catch(() => null)));
    session.become(
      null,
      known.filter(Boolean).map((item) => ({ id: item.item_id, title: titleOf(item) })),
    );
  } else {
    changed(null);
  }
}

begin();
map.start().catch((error) => {
  byId("map-state").hidden = false;
  byId("map-state").textContent = `The map cannot be shown: ${error.message}`;
});
