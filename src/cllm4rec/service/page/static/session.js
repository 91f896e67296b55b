// Whom the lists are for: a known user, or a history put together here. Kept in the address's
// fragment, which no server sees, so that a reload or a link shows the same.

const LONGEST_HISTORY = 1000; // what the service takes: the newest; older items are only left out

/** Holds the user and the history, and tells one listener about every change. */
export class Session {
  #listener;

  constructor(listener) {
    this.user = null;
    this.history = []; // [{id, title}], oldest first
    this.changed = false; // whether the user's history was changed here
    this.query = ""; // what is looked for, in words
    this.profile = ""; // properties of somebody without a history, "age=34, occupation=artist"
    this.#listener = listener;
  }

  get ids() {
    return this.history.map((item) => item.id);
  }

  get empty() {
    return this.user === null && this.history.length === 0 && this.profile === "";
  }

  /** Whether there is nothing to ask for. */
  get silent() {
    const nobody = this.history.length === 0 && (this.user === null || this.changed);
    return nobody && this.query === "" && this.profile === "";
  }

  has(id) {
    return this.history.some((item) => item.id === id);
  }

  become(user, history) {
    Object.assign(this, { user, history, changed: false, profile: "" });
    this.#tell({ kind: "user" });
  }

  add(item) {
    if (this.has(item.id)) return;
    this.history = [...this.history, { id: item.id, title: item.title }];
    Object.assign(this, { changed: true, profile: "" });
    this.#tell({ kind: "added", item });
  }

  remove(id) {
    const item = this.history.find((each) => each.id === id);
    if (!item) return;
    this.history = this.history.filter((each) => each.id !== id);
    this.changed = true;
    this.#tell({ kind: "removed", item });
  }

  clear() {
    Object.assign(this, { user: null, history: [], changed: false, profile: "" });
    this.#tell({ kind: "cleared" });
  }

  /** Look for something in words; without any, for whatever fits. */
  say(query) {
    if (query === this.query) return;
    this.query = query;
    this.#tell({ kind: "said", query });
  }

  /** Somebody of whom properties are all that is known. */
  describe(profile) {
    if (profile === this.profile) return;
    Object.assign(this, { user: null, history: [], changed: false, profile });
    this.#tell({ kind: "described", profile });
  }

  /** What is asked of the service. A history that was changed is nobody's: it goes as it is. */
  question() {
    const query = this.query || null;
    if (this.profile) return { profile: propertiesIn(this.profile), query };
    if (this.user !== null && !this.changed) return { users: [this.user], query };
    if (this.history.length === 0) return { query };
    const older = this.ids.slice(0, -LONGEST_HISTORY);
    const exclude = older.length ? older : null;
    return { histories: [this.ids.slice(-LONGEST_HISTORY)], exclude, query };
  }

  #tell(change) {
    const values = new URLSearchParams();
    if (this.user !== null && !this.changed) values.set("user", this.user);
    else this.ids.forEach((id) => values.append("item", id));
    if (this.query) values.set("query", this.query);
    if (this.profile) values.set("profile", this.profile);
    const place = location.pathname + (values.size ? `#${values}` : "");
    window.history.replaceState(null, "", place);
    this.#listener(change);
  }
}

/** "age=34, occupation=artist" as {age: "34", …}; the service says what it does not know. */
function propertiesIn(profile) {
  const pairs = profile.split(",").filter((pair) => pair.trim());
  const parts = (pair) => [pair.split("=", 1)[0].trim(), pair.split("=").slice(1).join("=").trim()];
  return Object.fromEntries(pairs.map(parts));
}

/** What an address asks for: {user, items, query, profile}. */
export function asked(address) {
  const inside = new URLSearchParams(address.hash.slice(1));
  const user = inside.get("user") ?? new URLSearchParams(address.search).get("user");
  const [query, profile] = ["query", "profile"].map((name) => inside.get(name) ?? "");
  return { user: user || null, items: inside.getAll("item"), query, profile };
}
