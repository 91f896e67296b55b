"""The page for fingers, for keys alone, for eyes that see less, and without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import PHONE, choose, drawn, watched_page

pytestmark = pytest.mark.slow


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (rgb(colour)[3] === 255) return rgb(colour);
    }
    return rgb(getComputedStyle(document.body).backgroundColor);
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility()) continue;
    if (element.closest(".unseen, .skip, svg, option")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${element.tagName}.${element.className} ${contrast}`);
  }
  return [...new Set(faint)];
}"""


FOCUSED = """() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const named = element.getAttribute("aria-label") || element.labels?.[0]?.textContent
    || document.getElementById(element.getAttribute("aria-labelledby"))?.textContent
    || element.textContent;
  const path = [];
  for (let at = element; at.parentElement; at = at.parentElement) {
    path.push([...at.parentElement.children].indexOf(at));
  }
  return {
    tag: element.tagName,
    path: path.join("/"),
    name: (named || "").trim(),
    outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
  };
}"""


@pytest.mark.parametrize("path", ["/#user=u05", "/results", "/?user=u05"])
def test_a_phone_scrolls_one_way_only_and_buttons_fit_a_finger(running, address, path):
    with watched_page(running, **PHONE) as page:
        page.goto(address + path)
        if "user" in path:
            expect(page.locator("#ours > li")).to_have_count(10)
            drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        heights = page.locator(".remove, .map-buttons button, .combo input").evaluate_all(
            "all => all.filter((e) => e.offsetParent).map((e) => e.offsetHeight)"
        )
        assert all(height >= 40 for height in heights)


def test_a_finger_adds_an_item_on_a_phone(running, address):
    with watched_page(running, **PHONE) as page:
        page.goto(f"{address}/#item=i07")
        expect(page.locator("#ours > li")).to_have_count(10)
        page.locator("#ours .title").first.tap()
        expect(page.locator("#history li")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_what_is_behind_them(running, address, scheme):
    with watched_page(running, color_scheme=scheme) as page:
        page.goto(f"{address}/#user=u05")
        expect(page.locator("#ours .bar").first).to_be_visible()
        drawn(page)
        assert page.evaluate(CONTRASTS) == []
        page.goto(f"{address}/results")
        assert page.evaluate(CONTRASTS) == []


def test_everything_that_takes_the_focus_shows_it_and_has_a_name(page):
    drawn(page)
    choose(page, "#item", "Film 07")
    expect(page.locator("#ours .bar").first).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    seen = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        if found["tag"] == "BODY" or found["path"] in seen:
            break
        seen.add(found["path"])
        assert found["outline"], found
        assert found["name"], found
    assert len(seen) > 30


def test_without_javascript_the_form_lists_what_is_recommended(running, address):
    with watched_page(running, java_script_enabled=False) as page:
        page.goto(address)
        assert page.locator("#map-title").is_hidden()
        page.fill("#user", "u05")
        page.get_by_role("button", name="Recommend").click()
        expect(page.locator(".unscripted-only .title")).to_have_count(20)
        assert re.search(r"\?user=u05$", page.url)
