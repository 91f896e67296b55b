"""The page in a real browser: by keyboard, by touch, and with nothing in the console."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import PHONE, browser, watched_page
from support.page_run import QUOTES, SCRIPT, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def address(running, page_run, tmp_path_factory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    with served(page_run, log) as found:
        yield found


@pytest.fixture
def page(running, address) -> Iterator[Page]:
    with watched_page(running) as opened:
        opened.goto(address)
        expect(opened.locator("html")).to_have_class("scripted")
        yield opened


def titles(page: Page, which: str = "#ours") -> list[str]:
    """Titles of a ranked list that is not being asked for anew."""
    expect(page.locator("#lists")).not_to_have_attribute("aria-busy", "true")
    shown = page.locator(f"{which} .title").evaluate_all(
        "found => found.map((each) => each.firstChild.data)"
    )
    return [str(title) for title in shown]


def history(page: Page) -> list[str]:
    return page.locator("#history li > span").all_text_contents()


def choose(page: Page, field: str, text: str) -> None:
    """Type, wait for the suggestions, take the first with the arrow key and Enter."""
    page.focus(field)
    page.keyboard.type(text)
    expect(page.locator(field)).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


def drawn(page: Page) -> None:
    page.wait_for_selector("#map-canvas[data-drawn]")


def colours(page: Page) -> int:
    """How many different colours the canvas shows."""
    count: int = page.locator("#map-canvas").evaluate(
        """canvas => {
          const { width, height } = canvas;
          const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          return new Set(new Uint32Array(pixels.buffer)).size;
        }"""
    )
    return count


def test_a_known_user_is_found_by_keyboard_alone(page):
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "user":
            break
    page.keyboard.type("u0")
    expect(page.locator("#user-options li")).to_have_count(10)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#user")).to_have_attribute("aria-activedescendant", "user-options-1")
    expect(page.locator("#user-options-1")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.locator("#whose")).to_have_text("User u01, as known to the model.")
    expect(page.locator("#history li")).to_have_count(12)
    assert len(titles(page)) == 10
    assert len(titles(page, "#ease")) == 10


def test_a_history_is_typed_and_every_item_changes_the_list(page):
    choose(page, "#item", "Film 07")
    expect(page.locator("#ours > li")).to_have_count(10)
    assert history(page) == ["Film 07"]
    first = titles(page)
    assert "Film 07" not in first
    choose(page, "#item", "film 1")
    expect(page.locator("#history li")).to_have_count(2)
    expect(page.locator("#status")).to_contain_text("Film 1")
    second = titles(page)
    assert second != first
    assert history(page)[0] not in second
    assert page.evaluate("document.activeElement.id") == "item"


def test_an_item_of_the_list_is_added_by_enter_and_removed_again(page):
    choose(page, "#item", "Film 07")
    expect(page.locator("#ours > li")).to_have_count(10)
    before = titles(page)
    page.locator("#ours .title").nth(2).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#history li")).to_have_count(2)
    expect(page.locator("#status")).to_contain_text(f"{before[2]} added.")
    assert history(page) == [before[2], "Film 07"]
    assert before[2] not in titles(page)
    # The keyboard's place in the list is kept although the list was drawn anew.
    place = "[...document.querySelectorAll('#ours .title')].indexOf(document.activeElement)"
    assert page.evaluate(place) == 2
    page.get_by_role("button", name=f"Remove {before[2]} from the history").click()
    expect(page.locator("#history li")).to_have_count(1)
    expect(page.locator("#status")).to_contain_text(f"{before[2]} removed.")
    assert titles(page) == before
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#lists")).to_be_hidden()
    assert history(page) == []


def test_escape_closes_and_arrows_go_round(page):
    page.focus("#item")
    page.keyboard.type("film 0")
    count = page.locator("#item-options li")
    expect(count).to_have_count(7)
    page.keyboard.press("ArrowUp")
    expect(page.locator("#item")).to_have_attribute("aria-activedescendant", "item-options-6")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#item")).to_have_attribute("aria-activedescendant", "item-options-0")
    page.keyboard.press("Escape")
    expect(page.locator("#item-options")).to_be_hidden()
    expect(page.locator("#item")).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#item")).to_have_value("film 0")
    page.keyboard.press("Escape")
    expect(page.locator("#item")).to_have_value("")


def test_enter_takes_what_was_typed_last_however_fast(page):
    page.focus("#item")
    page.keyboard.type("film 0")
    expect(page.locator("#item-options li")).to_have_count(7)
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    expect(page.locator("#history li")).to_have_count(1)
    assert history(page) == ["Film 09"]


def test_reasons_are_items_of_the_history_with_bars(page):
    choose(page, "#user", "u05")
    expect(page.locator("#ours .bar").first).to_be_visible()
    reasons = set(page.locator("#ours .reason").all_text_contents())
    assert reasons
    assert reasons <= set(history(page))
    widths = page.locator("#ours .bar rect").evaluate_all(
        "bars => bars.map((bar) => parseFloat(bar.getAttribute('width')))"
    )
    assert max(widths) == 100
    assert min(widths) >= 1
    page.locator("#explain").uncheck()
    expect(page.locator("#ours .reason")).to_have_count(0)


def test_items_in_both_lists_are_marked_with_their_place_in_the_other(page):
    choose(page, "#user", "u05")
    expect(page.locator("#shared")).to_contain_text("are in both lists")
    ours, ease = titles(page), titles(page, "#ease")
    marks = page.locator("#ours .shared").all_text_contents()
    assert marks == [
        f"also in the list of EASE {ease.index(title) + 1}" for title in ours if title in ease
    ]
    assert page.locator("#ease .shared").count() == len(marks)


def test_the_list_can_be_narrowed_to_a_category(page):
    drawn(page)
    choose(page, "#item", "Film 07")
    expect(page.locator("#ours > li")).to_have_count(10)
    page.select_option("#only", label="Horror")
    expect(page.locator("#ours > li").first).to_contain_text("Horror")
    expect(page.locator("#ours .about").filter(has_not_text="Horror")).to_have_count(0)


def test_titles_that_are_html_are_shown_as_they_are(page):
    page.on("dialog", lambda dialog: pytest.fail("a title was run as a script"))
    choose(page, "#item", "<script>")
    expect(page.locator("#history li")).to_have_count(1)
    choose(page, "#item", "Tom &")
    expect(page.locator("#history li")).to_have_count(2)
    assert history(page) == [QUOTES, SCRIPT]
    drawn(page)
    choose(page, "#map-search", "Tom &")
    expect(page.locator("#map-chosen h3")).to_have_text(QUOTES)
    assert page.locator("main b, main script").count() == 0


def test_the_address_brings_the_same_lists_back(page, address):
    choose(page, "#item", "Film 07")
    choose(page, "#item", "Film 12")
    expect(page.locator("#history li")).to_have_count(2)
    before = titles(page)
    assert page.url == f"{address}/#item=i07&item=i12"
    page.reload()
    expect(page.locator("#ours > li")).to_have_count(10)
    assert history(page) == ["Film 12", "Film 07"]
    assert titles(page) == before


def test_the_map_is_drawn_and_search_marks_an_item(page):
    drawn(page)
    assert colours(page) > 20
    before = page.locator("#map-canvas").screenshot()
    choose(page, "#map-search", "Film 31")
    expect(page.locator("#map-chosen h3")).to_have_text("Film 31")
    expect(page.locator("#map-chosen .about")).to_contain_text("2011")
    expect(page.locator("#map-chosen .near li")).to_have_count(8)
    assert page.locator("#map-canvas").screenshot() != before
    page.get_by_role("button", name="Add to the history").click()
    expect(page.locator("#history li")).to_have_count(1)
    assert history(page) == ["Film 31"]


def test_the_map_is_moved_by_keys_wheel_and_drag(page):
    drawn(page)
    canvas = page.locator("#map-canvas")
    canvas.scroll_into_view_if_needed()

    def changes(action) -> bool:
        before = canvas.screenshot()
        count = int(canvas.get_attribute("data-drawn") or 0)
        action()
        page.wait_for_function(
            f"Number(document.getElementById('map-canvas').dataset.drawn) > {count}"
        )
        return canvas.screenshot() != before

    canvas.focus()
    for key in ("+", "ArrowLeft", "ArrowUp", "-", "0"):
        assert changes(lambda key=key: page.keyboard.press(key)), key
    page.keyboard.press("Enter")
    expect(page.locator("#map-chosen h3")).not_to_be_empty()
    box = canvas.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    assert changes(lambda: page.mouse.wheel(0, -400))

    def drag() -> None:
        page.mouse.down()
        page.mouse.move(middle[0] + 80, middle[1] + 40, steps=4)
        page.mouse.up()

    assert changes(drag)
    assert changes(page.get_by_role("button", name="Whole map").click)


def test_pointing_at_the_map_tells_and_pressing_a_colour_fades_the_rest(page):
    drawn(page)
    choose(page, "#map-search", "Film 31")
    box = page.locator("#map-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#map-tip strong")).to_have_text("Film 31")
    expect(page.locator("#map-tip span")).to_contain_text("genres: Comedy, Drama")
    before = page.locator("#map-canvas").screenshot()
    horror = page.locator("#map-legend").get_by_role("button", name="Horror")
    horror.click()
    expect(horror).to_have_attribute("aria-pressed", "true")
    assert page.locator("#map-canvas").screenshot() != before
    page.select_option("#map-colour", label="year")
    expect(page.locator("#map-legend button")).to_have_count(6)


def test_the_map_is_there_in_words(page):
    drawn(page)
    choose(page, "#item", "Film 07")
    expect(page.locator("#ours > li")).to_have_count(10)
    page.get_by_text("The marked items in words").click()
    rows = page.locator("#map-rows tr")
    expect(rows).to_have_count(11)
    expect(rows.last).to_contain_text("Film 07")
    expect(rows.last).to_contain_text("history")


@pytest.mark.parametrize("path", ["/#user=u05", "/results", "/?user=u05"])
def test_a_phone_scrolls_one_way_only_and_buttons_fit_a_finger(running, address, path):
    with watched_page(running, **PHONE) as page:
        page.goto(address + path)
        if "user" in path:
            expect(page.locator("#ours > li")).to_have_count(10)
            drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        small = page.locator(".remove, .map-buttons button, .combo input").evaluate_all(
            "all => all.filter((e) => e.offsetParent && e.getBoundingClientRect().height < 40).length"
        )
        assert small == 0


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
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip, svg, option")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${element.tagName}.${element.className} ${contrast.toFixed(2)}`);
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
