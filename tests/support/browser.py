"""Debian's Chromium, driven by Playwright: real pages, real keys, and every complaint noted.

Playwright calls a check that runs in the page again until it holds; where it would wait for an
expression, the page's own policy forbids it, so everything is waited for by ``expect``.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
"""A phone, as Playwright has it."""


def chromium_path() -> str:
    """Where Chromium is; the test is skipped where it is not."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser for the block."""
    path = chromium_path()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, headless=True)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def watched_page(running: Browser, *, forgiven: str = "", **context: Any) -> Iterator[Page]:
    """A page that may not complain: no error in its console, no failed request, no exception.

    Args:
        running: the browser.
        forgiven: complaints that hold this text are none.
        context: as Playwright's ``new_context`` takes it.
    """
    opened = running.new_context(**({"viewport": {"width": 1280, "height": 900}} | context))
    page = opened.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on(
        "response",
        lambda answer: answer.status >= 400 and complaints.append(f"{answer.status} {answer.url}"),
    )
    try:
        yield page
        assert [each for each in complaints if not forgiven or forgiven not in each] == []
    finally:
        opened.close()


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
    # Until they are those of the whole text, not of its beginning.
    options = page.locator(f"#{page.locator(field).get_attribute('aria-controls')} [role=option]")
    expect(options.first).to_contain_text(text, ignore_case=True)
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
