"""Somebody's properties in a real browser, by keyboard."""

import pytest
from playwright.sync_api import expect

from support.browser import choose, history, titles, watched_page

pytestmark = pytest.mark.slow


def describe(page, properties: str) -> None:
    page.fill("#profile", properties)
    page.focus("#profile")
    page.keyboard.press("Enter")


def test_properties_list_what_such_people_have_and_come_back(page, running):
    expect(page.locator("#profile")).to_have_attribute("placeholder", "age=29, trade=<i>baker</i>")
    describe(page, " age=34, trade = artist ")
    expect(page.locator("#ours > li")).to_have_count(10)
    expect(page.locator("#whose")).to_have_text("Somebody with age=34, trade = artist.")
    artists = titles(page)
    assert artists == titles(page, "#ease")  # without a history both are the same
    describe(page, "trade=<i>baker</i>")
    expect(page.locator("#whose")).to_contain_text("<i>baker</i>")
    bakers = titles(page)
    assert bakers != artists
    with watched_page(running) as again:
        again.goto(page.url)
        expect(again.locator("#ours > li")).to_have_count(10)
        expect(again.locator("#profile")).to_have_value("trade=<i>baker</i>")
        assert titles(again) == bakers


def test_a_history_takes_the_place_of_properties_and_properties_that_of_a_history(page):
    describe(page, "trade=artist")
    expect(page.locator("#ours > li")).to_have_count(10)
    choose(page, "#item", "Film 08")
    expect(page.locator("#whose")).to_have_text("A history of your own.")
    expect(page.locator("#profile")).to_have_value("")
    assert history(page) == ["Film 08"]
    describe(page, "trade=artist")
    expect(page.locator("#history li")).to_have_count(0)
    page.fill("#query", "Film 07")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Looked for Film 07.")
    assert "Film 07" in titles(page)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#profile")).to_have_value("")
    expect(page.locator("#whose")).to_have_text("")


def test_what_nobody_is_known_by_is_said(running, address):
    with watched_page(running, forgiven="422") as page:
        page.goto(address)
        expect(page.locator("html")).to_have_class("scripted")
        for properties, why in (("artist", "there are: age, trade"), ("trade=x", "frequent ones")):
            describe(page, properties)
            expect(page.locator("#error-text")).to_contain_text(why)
