"""Queries in words in a real browser, by keyboard."""

from html import escape

import pytest
from playwright.sync_api import expect

from support.browser import choose, history, titles, watched_page

pytestmark = pytest.mark.slow

WORDS = "Film 07"
"""One item's title."""


def say(page, words: str) -> None:
    page.fill("#query", words)
    page.focus("#query")
    page.keyboard.press("Enter")


def test_words_alone_list_what_says_them(page):
    say(page, WORDS)
    expect(page.locator("#ours > li")).to_have_count(10)
    expect(page.locator("#status")).to_contain_text(f"Looked for {WORDS}.")
    assert WORDS in titles(page)
    assert titles(page) == titles(page, "#ease")  # without a history both are the same


def test_words_and_a_history_go_together_and_come_back(page, address, running):
    choose(page, "#item", "Film 08")
    expect(page.locator("#ours > li")).to_have_count(10)
    before = titles(page)
    say(page, WORDS)
    expect(page.locator("#status")).to_contain_text("Looked for")
    expect(page.locator("#lists")).not_to_have_attribute("aria-busy", "true")
    after = titles(page)
    assert WORDS in after
    assert after != before
    assert history(page) == ["Film 08"]
    with watched_page(running) as again:
        again.goto(page.url)
        expect(again.locator("#ours > li")).to_have_count(10)
        expect(again.locator("#query")).to_have_value(WORDS)
        assert titles(again) == after
    say(page, "")
    expect(page.locator("#status")).to_contain_text("No words.")
    expect(page.locator("#lists")).not_to_have_attribute("aria-busy", "true")
    assert titles(page) == before


def test_what_cannot_be_answered_is_said(running, address):
    with watched_page(running, forgiven="422") as page:
        page.goto(address)
        expect(page.locator("html")).to_have_class("scripted")
        say(page, "?!")
        expect(page.locator("#error-text")).to_contain_text("the query has no words")


def test_an_item_added_while_the_page_is_open_is_found_by_title_and_by_words(page, address):
    fresh = "Film 07 and Film 08 <i>again</i>"
    item = {"item_id": "n/1", "title": escape(fresh)}  # what is posted is read as HTML
    added = page.request.post(f"{address}/v1/items", data={"items": [item]}, timeout=240_000)
    assert added.status == 200, added.text()
    try:
        say(page, "07 08")
        expect(page.locator("#ours > li")).to_have_count(10)
        assert fresh in titles(page)
        choose(page, "#item", "again")
        expect(page.locator("#history li")).to_have_count(1)
        assert history(page) == [fresh]
        assert fresh not in titles(page)
    finally:
        gone = page.request.delete(f"{address}/v1/items", data={"items": None}, timeout=240_000)
        assert gone.status == 200, gone.text()
