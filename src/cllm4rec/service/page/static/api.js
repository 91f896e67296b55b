// The service's JSON interface, as far as this page uses it.

const TRIES = 4;
const LONGEST_WAIT_S = 3;

async function ask(path, { body, signal } = {}) {
  const request = { signal, headers: { accept: "application/json" } };
  if (body !== undefined) {
    request.method = "POST";
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let response;
  for (let tries = 1; ; tries++) {
    try {
      response = await fetch(path, request);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The service does not answer; is it still running?");
    }
    // A busy service says when to come back.
    if (response.status !== 429 || tries === TRIES) break;
    const after = Math.min(Number(response.headers.get("retry-after")) || 1, LONGEST_WAIT_S);
    await new Promise((done) => setTimeout(done, 1000 * after));
    signal?.throwIfAborted();
  }
  if (!response.ok) throw new Error(await reason(response));
  return response.json();
}

async function reason(response) {
  const answer = await response.json().catch(() => null);
  const said = answer?.error;
  if (response.status === 429 || response.status === 503) {
    return "The service is busy just now; try again in a moment.";
  }
  return typeof said === "string" ? said : `The service answered with ${response.status}.`;
}

const query = (values) => new URLSearchParams(values).toString();
const itemPath = (id) => `/v1/items/${encodeURIComponent(id)}`;
const details = new Map();

/** The first result of a recommendation or, from EASE, of a comparison: its ranked items. */
async function ranked(path, body, signal) {
  const answer = await ask(path, { body, signal });
  return answer.results[0].items;
}

export const recommend = (body, signal) => ranked("/v1/recommend", body, signal);
export const compare = (body, signal) => ranked("/v1/compare", body, signal);

export async function similar(id, count) {
  return (await ask(`/v1/similar?${query({ item_id: id, k: count })}`)).items;
}

export async function findItems(text, signal) {
  const { items } = await ask(`/v1/items?${query({ query: text, limit: 12 })}`, { signal });
  return items.map((item) => ({ id: item.item_id, title: titleOf(item) }));
}

export async function findUsers(text, signal) {
  const { users } = await ask(`/v1/users?${query({ query: text, limit: 12 })}`, { signal });
  return users.map((id) => ({ id, title: id }));
}

export async function historyOf(user) {
  const { items } = await ask(`/v1/users/${encodeURIComponent(user)}/history`);
  return items.map((item) => ({ id: item.item_id, title: titleOf(item) }));
}

/** Title, text and attributes of an item; asked once. */
export function detail(id) {
  if (!details.has(id)) {
    const asked = ask(itemPath(id));
    asked.catch(() => details.delete(id));
    details.set(id, asked);
  }
  return details.get(id);
}

export const catalogueMap = () => ask("/page/map.json");

/** An item's title, or its id where it has none. */
export function titleOf(item) {
  return item.title || item.item_id;
}
