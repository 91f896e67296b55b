"""Set-up shared by all tests: no network, checked tensor shapes, repeatable hypothesis runs."""

import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks
sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

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
settings.load_profile("repeatable")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder with the real data sets; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA.parent.name}/{SHARED_DATA.name}")
    return SHARED_DATA
