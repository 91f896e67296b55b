"""One toy run, one browser and one served page for all tests of the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from cllm4rec.rundir import RunDir
from support.browser import browser, watched_page
from support.page_run import make_page_run
from support.server import Server


@pytest.fixture(scope="session")
def page_run(tmp_path_factory) -> RunDir:
    return make_page_run(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def running() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="session")
def address(running, page_run, tmp_path_factory) -> Iterator[str]:
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
