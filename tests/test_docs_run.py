"""Every command and every Python block of README and docs is run; see :mod:`support.pages`."""

import re
from pathlib import Path

import pytest
import torch

from support.pages import Block, PageRun, blocks, commands, write_programs
from support.pages_world import furnish, make_world

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
KINDS = {"console", "python", "text", "toml", "json"}


def blocks_of(page: Path) -> list[Block]:
    return list(blocks(page.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def world(tmp_path_factory, backbone) -> Path:
    return make_world(tmp_path_factory)


@pytest.fixture
def place(tmp_path, world, monkeypatch) -> Path:
    """An empty folder, a cache and a PATH for a page."""
    monkeypatch.setenv("CLLM4REC_CACHE", str(world / "cache"))
    monkeypatch.setenv("PATH", write_programs(tmp_path / "programs"))
    folder = tmp_path / "page"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.runs for b in blocks_of(page))], ids=lambda p: p.name
)
def test_blocks_run(page, place, world):
    found = blocks_of(page)
    prepares = any(b.runs and re.search(r"prepare .*--run RUN\b", b.text) for b in found)
    furnish(place, world, run=not prepares)
    threads = torch.get_num_threads()
    run = PageRun(str(page))
    try:
        for block in found:
            if block.file is not None:
                (place / block.file).write_text(block.text, encoding="utf-8")
            elif block.runs:
                run.run(block)
    finally:
        run.close()
        torch.set_num_threads(threads)  # the commands set what their settings say


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page):
    """So that none goes without being run by having no language."""
    wrong = [f"line {b.line}: {b.kind!r}" for b in blocks_of(page) if b.kind not in KINDS]
    assert wrong == []


def test_a_block_that_fails_fails_its_page(place):
    run = PageRun("a page")
    python, console = (Block(1, kind, "", None, None) for kind in ("python", "console"))
    run.run(python)
    run.run(console)
    with pytest.raises(ZeroDivisionError):
        run.run(Block(3, "python", "1 / 0\n", None, None))
    with pytest.raises(AssertionError, match="exit code 3"):
        run.run(Block(3, "console", "(exit 3)\necho never\n", None, None))
    with pytest.raises(Exception, match="nowhere"):
        run.run(Block(3, "console", "cllm4rec evaluate --run nowhere\n", None, None))
    with pytest.raises(AssertionError, match="nowhere"):
        run.run(Block(3, "console", "cllm4rec evaluate --run nowhere | cat\n", None, None))
    run.close()


@pytest.mark.parametrize(
    ("given", "by_bash"),
    [
        ("--where 'year>=1990'  # a shell's sign | in quotes", False),
        ("--where year>=1990", True),
        ('--query "$words"', True),
    ],
)
def test_a_block_is_run_by_bash_where_it_needs_a_shell(monkeypatch, given, by_bash):
    called = []
    monkeypatch.setattr("support.pages.bash", lambda _script: called.append("bash"))
    run = PageRun("a page")
    monkeypatch.setattr(run, "command", called.append)
    run.run(Block(1, "console", f"cllm4rec recommend {given}\n", None, None))
    run.close()
    assert called == (["bash"] if by_bash else [["recommend", "--where", "year>=1990"]])


def test_blocks_of_a_page():
    page = """
```python
a = 1
```

<!-- not run: it takes a day -->
```console
$ train \\
    --long
output
$ more
```

<!-- file: mine.toml -->
```toml
seed = 1
```
"""
    first, second, third = blocks(page)
    assert (first.kind, first.text, first.runs, first.line) == ("python", "a = 1\n", True, 2)
    assert (second.not_run, second.runs) == ("it takes a day", False)
    assert commands(second.text) == "train \\\n    --long\nmore\n"
    assert (third.file, third.text, third.runs) == ("mine.toml", "seed = 1\n", False)
