"""The lists in a real browser, by keyboard."""

import pytest
from playwright.sync_api import expect

from support.browser import choose, drawn, history, titles, watched_page
from support.page_run import QUOTES, SCRIPT

pytestmark = pytest.mark.slow


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
    expect(count).to_have_count(10)
    page.keyboard.press("ArrowUp")
    expect(page.locator("#item")).to_have_attribute("aria-activedescendant", "item-options-9")
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
    expect(page.locator("#item-options li")).to_have_count(10)
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


def test_a_busy_service_is_asked_again(running, address):
    with watched_page(running, forgiven="429") as page:
        asked = []

        def busy_twice(route) -> None:
            asked.append(route.request.url)
            if len(asked) > 2:
                route.continue_()
            else:
                route.fulfill(status=429, headers={"Retry-After": "0.05"}, json={"error": "busy"})

        page.route("**/v1/recommend", busy_twice)
        page.goto(f"{address}/#item=i07")
        expect(page.locator("#ours > li")).to_have_count(10)
        expect(page.locator("#error")).to_be_hidden()
        assert len(asked) >= 3


def test_an_error_is_said_and_what_failed_can_be_tried_again(running, address):
    with watched_page(running, forgiven="422") as page:
        wrong = {"status": 422, "json": {"error": "unknown item <b>'x'</b>"}}
        page.route("**/v1/recommend", lambda route: route.fulfill(**wrong))
        page.goto(f"{address}/#item=i07")
        expect(page.get_by_role("alert")).to_contain_text("unknown item <b>'x'</b>")
        page.unroute("**/v1/recommend")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("#ours > li")).to_have_count(10)
        expect(page.get_by_role("alert")).to_be_hidden()


def test_lists_stand_without_reasons_and_without_ease_where_these_fail(running, address):
    with watched_page(running, forgiven="503") as page:

        def unexplained(route) -> None:
            if route.request.post_data_json.get("explain"):
                route.fulfill(status=503, json={"error": "too late"})
            else:
                route.continue_()

        page.route("**/v1/recommend", unexplained)
        page.route("**/v1/compare", lambda route: route.fulfill(status=503, json={"error": "no"}))
        page.goto(f"{address}/#item=i07")
        expect(page.locator("#ours > li")).to_have_count(10)
        expect(page.locator("#reasons-error")).to_contain_text("Reasons could not be measured.")
        expect(page.locator("#ease-error")).to_contain_text("busy")
        expect(page.locator("#ease > li")).to_have_count(0)
