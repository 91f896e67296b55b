"""Debian's Chromium, driven by Playwright: real pages, real keys, and every complaint noted."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

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
def watched_page(running: Browser, **context: Any) -> Iterator[Page]:
    """A page that may not complain: no error in its console, no failed request, no exception."""
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
        assert complaints == []
    finally:
        opened.close()
