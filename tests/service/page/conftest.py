"""One toy run, one browser and one served page for all tests of the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cllm4rec.run import RunDir
from support import trained
from support.browser import browser, chromium_path, watched_page
from support.server import Server


@pytest.fixture(scope="session")
def page_run(tmp_path_factory, backbone: Path) -> RunDir:
    return trained.page_run(tmp_path_factory, backbone)


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    """A browser for one module: while it lives, its event loop runs, and no other test may."""
    with browser() as found:
        yield found


@pytest.fixture(scope="session")
def address(page_run, tmp_path_factory) -> Iterator[str]:
    chromium_path()  # a server without a browser would be started in vain
    # A busy machine must not make the service refuse: here every request is to be answered.
    scratch, patient = tmp_path_factory.mktemp("server"), ("--max-wait-ms", "60000")
    with Server(page_run.path, scratch, *patient) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def page(running, address) -> Iterator[Page]:
    """The page, opened, its script begun; it may not complain while it is used."""
    with watched_page(running) as opened:
        opened.goto(address)
        expect(opened.locator("html")).to_have_class("scripted")
        yield opened
