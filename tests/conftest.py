"""Set-up shared by all tests: no network, checked tensor shapes, repeatable hypothesis runs."""

import gc
import os
import sys
from pathlib import Path

import pytest

# One thread for each worker of pytest-xdist, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks
sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

from support.examples import QUICK
from support.once import made_once
from support.selection import ProcessGuard, is_quick, longest_first, never_quick

# As in the program (`cllm4rec.cli`): what is loaded stays, so nobody looks through it so often.
gc.set_threshold(50_000, 20, 100)
# A power cut is nothing a test can make, so none waits for the disk; kill -9 loses no page that
# is written. Tests of what is flushed, and when, put their own in its place; processes flush.
os.fsync = os.fstat  # an error for what is no open file, as there

# Shapes in signatures are verified while the tests run and cost nothing in production.
install_import_hook(
    ["cllm4rec.baselines.networks", "cllm4rec.models", "cllm4rec.tokens", "cllm4rec.training"],
    "beartype.beartype",
)

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("quick", settings.get_profile("repeatable"), max_examples=QUICK)
settings.load_profile("repeatable")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder with the real data sets; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA.parent.name}/{SHARED_DATA.name}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def backbone(tmp_path_factory) -> Path:
    """A Llama of two layers."""
    from support.tiny_backbone import write_tiny_llama  # after the import hook

    return made_once(tmp_path_factory, "backbone", write_tiny_llama)


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "quick":
        settings.load_profile("quick")
        config.pluginmanager.register(ProcessGuard())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files of which no test can be quick are not even loaded for quick ones."""
    return (config.option.markexpr == "quick" and never_quick(collection_path)) or None


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: no later collection of garbage goes through them."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_quick(item):
            item.add_marker("quick")
    items.sort(key=longest_first)
