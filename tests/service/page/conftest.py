"""One toy run for all tests of the page."""

import pytest

from cllm4rec.rundir import RunDir
from support.page_run import make_page_run


@pytest.fixture(scope="session")
def page_run(tmp_path_factory) -> RunDir:
    return make_page_run(tmp_path_factory.mktemp("page"))
