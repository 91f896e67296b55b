"""The architecture: layers one way down, no cycle of any kind, files that can be read at one go."""

import graphlib
import statistics
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "cllm4rec"
LONGEST_FILE = 350
MEDIAN_FILE = 150


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )


def too_long(folder: Path) -> list[str]:
    """Python files above the longest that is allowed."""
    return [
        f"{path.relative_to(folder)}: {lines}"
        for path in sorted(folder.rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    ]


def find_cycle(package: str) -> list[str]:
    """Modules that import each other in a ring, imports inside functions counted; none: empty."""
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {
        module: graph.find_modules_directly_imported_by(module) & graph.modules
        for module in graph.modules
    }
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_the_contracts_of_the_import_linter_hold():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ["cllm4rec", "benchmarks"])
def test_there_is_no_cycle_not_even_a_hidden_one(package):
    assert find_cycle(package) == []


def test_a_hidden_cycle_would_be_found(tmp_path, monkeypatch):
    package = tmp_path / "ring_of_two"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "a.py").write_text("import ring_of_two.b\n")
    (package / "b.py").write_text("def later():\n    import ring_of_two.a\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(find_cycle("ring_of_two")) == {"ring_of_two.a", "ring_of_two.b"}


@pytest.mark.parametrize(
    "folder", [SOURCE, ROOT / "benchmarks", ROOT / "tests"], ids=["src", "benchmarks", "tests"]
)
def test_no_file_is_longer_than_one_can_read_at_one_go(folder):
    assert too_long(folder) == []


def test_a_file_that_is_too_long_would_be_found(tmp_path):
    (tmp_path / "long.py").write_text("\n" * (LONGEST_FILE + 1))
    (tmp_path / "short.py").write_text("\n" * LONGEST_FILE)
    assert too_long(tmp_path) == ["long.py: 351"]


def test_the_median_file_is_short():
    lines = [
        len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCE.rglob("*.py")
        if path.name != "__init__.py"
    ]
    assert statistics.median(lines) <= MEDIAN_FILE


def test_tests_mirror_the_source():
    """Every folder of tests is one of the source or of the benchmarks, or a named helper."""
    helpers = {"golden", "reference", "support"}
    folders = {
        path.relative_to(ROOT / "tests")
        for path in (ROOT / "tests").rglob("*")
        if path.is_dir() and "__pycache__" not in path.parts and any(path.glob("test_*.py"))
    }
    mirrored = {f for f in folders if (SOURCE / f).is_dir() or (ROOT / f).is_dir()}
    assert {str(folder) for folder in folders - mirrored} <= helpers
