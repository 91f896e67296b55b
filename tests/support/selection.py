"""Which tests are quick, and which files begin first.

Quick is what trains no run, starts no process, opens no browser and reads no real data. It follows
from what a test and its fixtures call, so nobody has to mark it: the names that their code uses are
followed through functions and classes of the tests' own.
"""

import inspect
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]

SLOW_MODULES = frozenset({"subprocess", "multiprocessing"})
SLOW = frozenset({
    "cllm4rec.api.model.CLLM4Rec",
    "cllm4rec.baselines.tuning.tune",
    "cllm4rec.downloads.fetch_wheel",
    "cllm4rec.experiments.process.compute",
    "cllm4rec.experiments.process.compute_in_subprocess",
    "cllm4rec.experiments.quality.quality",
    "cllm4rec.service.preloaded.Preloaded",
    "cllm4rec.stages.demo.demo",
    "cllm4rec.stages.finetune.finetune",
    "cllm4rec.stages.pretrain.pretrain",
    "cllm4rec.stages.train.train",
    "playwright.sync_api.sync_playwright",
})
"""What trains, or starts a process, where it is defined."""

LONGEST = (
    "test_docs_run.py",
    "planning/test_memory.py",
    "service/test_server.py",
    "experiments/test_quality.py",
    "export/test_onnx_model.py",
    "models/test_device.py",
    "stages/test_several_processes.py",
    "benchmarks/speed/test_device.py",
    "stages/test_variants.py",
    "stages/test_recommend_ray.py",
    "benchmarks/speed/test_speed.py",
    "service/test_catalogue_changes.py",
    "benchmarks/service/test_loads.py",
    "stages/test_done_again.py",
    "stages/test_paper.py",
    "recommender/test_incremental.py",
    "stages/test_recommend_all_memory.py",
    "service/test_subprocess_scorer.py",
    "service/page/test_access_in_browser.py",
)
"""Files that take longest, that first: with the rest, the last worker has not long to go on."""


def longest_first(item: pytest.Item) -> int:
    """The place of an item's file among the longest; the others keep their order behind them."""
    name = item.path.relative_to(TESTS).as_posix()
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def is_quick(item: pytest.Item) -> bool:
    """Whether nothing slow can be reached from a test and the fixtures that it names."""
    if not isinstance(item, pytest.Function) or item.get_closest_marker("demo"):
        return False
    if item.get_closest_marker("slow") or "shared_data" in item.fixturenames:
        return False
    if never_quick(item.path):
        return False
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    functions = [item.function, *(each.func for found in fixtures for each in found)]
    own = [function for function in functions if _is_of_the_tests(function)]
    seen: set[Any] = set()
    return not any(reaches_slow(function, seen) for function in own)


def never_quick(path: Path) -> bool:
    """Whether a file, or folder, has no quick test, whatever they call: programs that measure."""
    return TESTS / "benchmarks" in (path, *path.parents)


def reaches_slow(function: Any, seen: set[Any]) -> bool:
    """Whether a function of the tests calls something slow, itself or through others of theirs."""
    function = inspect.unwrap(
        getattr(getattr(function, "hypothesis", None), "inner_test", function)
    )
    code = getattr(function, "__code__", None)
    if code is None or function in seen:
        return False
    seen.add(function)
    names = set(_names(code))
    found = [function.__globals__.get(name) for name in names]
    # What is called by the name of its module: `trained.page_run(…)`.
    modules = [each for each in found if isinstance(each, ModuleType) and _is_ours(each)]
    found += [vars(module).get(name) for module in modules for name in names]
    return any(_is_slow(each, seen) for each in found)


def _is_slow(found: Any, seen: set[Any]) -> bool:
    if isinstance(found, ModuleType):
        return found.__name__ in SLOW_MODULES
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    if f"{module}.{name}" in SLOW or (module or "").partition(".")[0] in SLOW_MODULES:
        return True
    if not _is_of_the_tests(found):
        return False
    if inspect.isclass(found):
        methods = [each for each in vars(found).values() if inspect.isfunction(each)]
        return any(reaches_slow(method, seen) for method in methods)
    return reaches_slow(found, seen)


def _is_ours(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] in {"cllm4rec", "support"}


def _is_of_the_tests(found: Any) -> bool:
    if not (inspect.isclass(found) or inspect.isfunction(inspect.unwrap(found))):
        return False
    module = sys.modules.get(getattr(found, "__module__", None) or "")
    return str(getattr(module, "__file__", "")).startswith(str(TESTS))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


class ProcessGuard:
    """A plugin under which a test that starts a process fails: it would not be quick."""

    def __init__(self) -> None:
        self.testing = False
        sys.addaudithook(self._hear)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self.testing = True
        try:
            return (yield)
        finally:
            self.testing = False

    def _hear(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if self.testing and event in {"subprocess.Popen", "os.fork", "os.posix_spawn"}:
            raise AssertionError("a quick test starts a process; see tests/support/selection.py")
