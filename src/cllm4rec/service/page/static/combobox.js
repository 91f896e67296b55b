// A text field that suggests: the "combobox with list autocomplete" of the ARIA practices guide.

import { announce, counted, make, settled } from "./dom.js";

/**
 * @param input   the text field; its `aria-controls` names an empty <ul> beside it
 * @param search  (text, signal) → promise of [{id, title, note}]
 * @param pick    ({id, title}) → called when one is chosen
 * @param noun    what is suggested: "item", "user"
 * @param keeps   whether the chosen title stays in the field
 */
export function combobox(input, { search, pick, noun, keeps = false }) {
  const list = document.getElementById(input.getAttribute("aria-controls"));
  let options = [];
  let active = -1;
  let asked = null;
  let outdated = false; // typed since the options shown were asked for

  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-expanded", "false");
  list.setAttribute("role", "listbox");

  function close() {
    asked?.abort();
    asked = null;
    options = [];
    list.replaceChildren();
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    activate(-1);
  }

  function activate(place) {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = place;
    const option = list.children[active];
    if (!option) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  }

  function choose(place) {
    const chosen = options[place];
    if (!chosen) return;
    later.cancel();
    close();
    input.value = keeps ? chosen.title : "";
    pick(chosen);
  }

  function show(found) {
    options = found;
    outdated = false;
    active = -1;
    const rows = found.map((option, place) => {
      const note = option.note ? make("small", {}, option.note) : null;
      return make(
        "li",
        {
          role: "option",
          id: `${list.id}-${place}`,
          "aria-selected": "false",
          onclick: () => choose(place),
        },
        make("span", {}, option.title),
        note,
      );
    });
    list.replaceChildren(...rows);
    list.hidden = rows.length === 0;
    input.setAttribute("aria-expanded", String(rows.length > 0));
    input.removeAttribute("aria-activedescendant");
    announce(
      rows.length ? `${counted(rows.length, noun)} found; arrow keys to choose` : `No ${noun} found`,
    );
  }

  async function ask() {
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    try {
      const found = await search(input.value.trim(), mine.signal);
      if (asked === mine) show(found);
    } catch (error) {
      if (error.name !== "AbortError") {
        close();
        announce(error.message);
      }
    }
  }

  const later = settled(ask, 120);

  input.addEventListener("input", () => {
    outdated = true;
    if (input.value.trim()) return later();
    later.cancel();
    close();
  });
  input.addEventListener("blur", () => {
    later.cancel();
    close();
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus
  input.addEventListener("keydown", async (event) => {
    const open = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) {
        await ask();
        if (event.key === "ArrowDown") activate(0);
      } else {
        const step = event.key === "ArrowDown" ? 1 : -1;
        const from = active < 0 && step < 0 ? 0 : active;
        activate((from + step + options.length) % options.length);
      }
    } else if (event.key === "Enter") {
      if (!input.value.trim() && active < 0) return;
      event.preventDefault();
      later.cancel();
      if (!open || outdated) await ask();
      choose(Math.max(active, 0));
    } else if (event.key === "Escape") {
      if (open) close();
      else input.value = "";
    }
  });
}
