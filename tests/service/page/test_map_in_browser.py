"""The map in a real browser: drawn, searched, moved, and told in words."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from support.browser import choose, colours, drawn, history

pytestmark = pytest.mark.slow


def changes(page: Page, action: Callable[[], object]) -> bool:
    """Whether the map looks different once it is drawn anew."""
    canvas = page.locator("#map-canvas")
    before, drawings = pixels(page), canvas.get_attribute("data-drawn") or ""
    action()
    expect(canvas).not_to_have_attribute("data-drawn", drawings)
    return pixels(page) != before


def pixels(page: Page) -> str:
    shown: str = page.locator("#map-canvas").evaluate("canvas => canvas.toDataURL()")
    return shown


def test_the_map_is_drawn_and_search_marks_an_item(page):
    drawn(page)
    assert colours(page) > 20
    before = pixels(page)
    choose(page, "#map-search", "Film 31")
    expect(page.locator("#map-chosen h3")).to_have_text("Film 31")
    expect(page.locator("#map-chosen .about")).to_contain_text("2011")
    expect(page.locator("#map-chosen .near li")).to_have_count(8)
    assert pixels(page) != before
    page.get_by_role("button", name="Add to the history").click()
    expect(page.locator("#history li")).to_have_count(1)
    assert history(page) == ["Film 31"]


def test_the_map_is_moved_by_keys_wheel_and_drag(page):
    drawn(page)
    canvas = page.locator("#map-canvas")
    canvas.scroll_into_view_if_needed()

    canvas.focus()
    for key in ("+", "+", "ArrowLeft", "ArrowUp", "-", "0"):
        assert changes(page, lambda key=key: page.keyboard.press(key)), key
    page.keyboard.press("Enter")
    expect(page.locator("#map-chosen h3")).not_to_be_empty()
    box = canvas.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    assert changes(page, lambda: page.mouse.wheel(0, -400))

    def drag() -> None:
        page.mouse.down()
        page.mouse.move(middle[0] + 80, middle[1] + 40, steps=4)
        page.mouse.up()

    assert changes(page, drag)
    assert changes(page, page.get_by_role("button", name="Whole map").click)


def test_pointing_at_the_map_tells_and_pressing_a_colour_fades_the_rest(page):
    drawn(page)
    choose(page, "#map-search", "Film 31")
    page.locator("#map-canvas").scroll_into_view_if_needed()
    box = page.locator("#map-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#map-tip strong")).to_have_text("Film 31")
    expect(page.locator("#map-tip span")).to_contain_text("genres: Drama, Comedy")
    horror = page.locator("#map-legend").get_by_role("button", name="Horror")
    assert changes(page, horror.click)
    expect(horror).to_have_attribute("aria-pressed", "true")
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
