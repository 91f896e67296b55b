"""Pages that fail when they lie."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from cllm4rec.cli import cllm4rec
from cllm4rec.config import SETS, Settings, request_of
from cllm4rec.errors import ConfigError

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "cllm4rec"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


PROSE = [*PAGES, *sorted((ROOT / "docs/decisions").glob("*.md"))]


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.mark.parametrize("name", GENERATOR.PAGES)
def test_written_pages_are_up_to_date(name):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == GENERATOR.PAGES[name](), "run `make docs`"


def test_every_setting_is_on_its_page():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for section, value in SETS:
        keys = [section]
        if isinstance(value, Settings):
            keys = [f"{section}.{key}" for key in type(value).model_fields]
        for key in keys:
            assert f"| `{key}` |" in page


def test_every_page_is_in_the_site():
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", site.partition("\nnav:")[2], re.M)
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert set(named) == pages | {"decisions/index.md"}


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_lines_are_short_outside_tables(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


@each_page
def test_source_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:\w+/)*\w+\.py)`", text):
        assert (SOURCE / name).is_file() or (ROOT / name).is_file(), name


@each_page
def test_commands_and_options_that_are_named_exist(page):
    for line in re.findall(r"^(?:\$ )?cllm4rec (.+)$", page.read_text(encoding="utf-8"), re.M):
        words = line.split("#")[0].split()
        if words[0].startswith("-"):
            continue
        assert words[0] in cllm4rec.commands, line
        command = cllm4rec.commands[words.pop(0)]
        if isinstance(command, click.Group):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        options = {o for p in command.params for o in p.opts if isinstance(p, click.Option)}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in options, line


@each_page
def test_settings_that_are_named_exist(page):
    for override in re.findall(r"--set '?([a-z_.]+=[^\s`']+)", page.read_text(encoding="utf-8")):
        assert request_of(None, [override]) is not None


def test_a_setting_that_does_not_exist_would_be_found():
    with pytest.raises(ConfigError):
        request_of(None, ["finetune.epoch=5"])


@pytest.mark.parametrize("name", ["initialise", "pretrain", "finetune", "train", "prepare"])
def test_help_says_where_settings_start(name):
    shown = cllm4rec.commands[name].get_help(click.Context(cllm4rec.commands[name]))
    starts = "[auto]" in shown, "run's settings" in shown
    assert starts == (name == "prepare", name != "prepare")


def test_extras_are_installed_in_one_way():
    files = [*PAGES, *SOURCE.rglob("*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    commands = re.findall(r"pip install '.*", text)
    assert len(commands) > 10
    for command in commands:
        assert re.match(r"pip install '\.\[\w+\]'( pandas)? -c constraints\.txt", command)


@each_page
def test_make_targets_that_are_named_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    named = set(re.findall(r"(?:`|^)make ([\w-]+)", page.read_text(encoding="utf-8"), re.M))
    assert named <= targets
