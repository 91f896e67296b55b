"""A command loads what it needs: help and ``prepare`` answer before torch would be there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import click

from cllm4rec.cli import cllm4rec
from cllm4rec.run import RunDir

LEARNING = {"torch", "transformers", "tokenizers", "sklearn", "matplotlib", "peft"}
"""What the first stages and every ``--help`` do without; torch alone takes two seconds."""
STAGES = ("initialise", "pretrain", "finetune", "train")
HEAVY = {*LEARNING, "numpy", "scipy", "pyarrow", "duckdb", "pandas", "fastapi"}


def commands_below(group: click.Group) -> Iterator[list[str]]:
    for name, command in group.commands.items():
        yield [name]
        if isinstance(command, click.Group):
            yield from ([name, *rest] for rest in commands_below(command))


def loaded_by(program: str, *arguments: object) -> set[str]:
    """Every module that a fresh interpreter has loaded after this program."""
    program += "\nimport sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


RUN_EACH = """
import json, sys
from cllm4rec.cli import main
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as end:
        assert (end.code or 0) == int(sys.argv[2]), arguments
"""


def loaded_by_commands(*commands: list[object], code: int = 0) -> set[str]:
    given = json.dumps([[str(a) for a in command] for command in commands])
    return loaded_by(RUN_EACH, given, code)


def test_help_of_every_command_loads_nothing_heavy():
    asked = [["--help"], *([*command, "--help"] for command in commands_below(cllm4rec))]
    assert len(asked) > 10
    assert not HEAVY & loaded_by_commands(*asked)


def test_prepare_loads_nothing_that_learns(tmp_path):
    data, run = tmp_path / "world", tmp_path / "run"
    loaded = loaded_by_commands(
        ["data", "planted-world", "--to", data],
        ["prepare", "--data", data, "--run", run, "--protocol", "leave-last-out", "--json"],
    )
    assert (run / "config.toml").is_file()
    assert "cllm4rec.stages.prepare" in loaded
    assert not LEARNING & loaded


def test_what_is_wrong_at_sight_is_said_before_anything_that_learns_is_loaded(tmp_path):
    prepared, nowhere = tmp_path / "run", tmp_path / "nowhere"
    RunDir(prepared).create().finish("prepare", [], 0.0)
    of_run = ["--run", prepared]
    commands = [
        ["train", "--run", nowhere],
        ["train", *of_run, "--config", nowhere],
        ["plan", "--users", 1, "--items", 1, "--interactions", 1, "--set", "no.such=1"],
        *([stage, *of_run, "--config", "auto", "--set", "no.such=1"] for stage in STAGES),
        ["evaluate", *of_run],
        ["evaluate", *of_run, "--topk", nowhere],
        ["refit", *of_run, "--to", nowhere],
        ["recommend", *of_run, "--users", "a"],
        ["recommend", *of_run, "--histories", nowhere, "--out", tmp_path / "out"],
        ["similar", *of_run, "a"],
        ["add-items", *of_run, "--items", __file__],
        ["remove-items", *of_run, "--all"],
        ["export", *of_run, "--to", nowhere],
        ["serve", *of_run],
    ]
    assert not LEARNING & loaded_by_commands(*commands, code=2)
    assert not nowhere.exists()


def test_a_dataset_and_settings_load_nothing_that_learns():
    assert not LEARNING & loaded_by("from cllm4rec import Config, Dataset")


def test_the_stages_load_nothing_that_only_some_of_them_need():
    """Scikit-learn and matplotlib take three seconds of every command's start."""
    loaded = loaded_by("import cllm4rec.api, cllm4rec.stages.demo")
    assert "torch" in loaded
    only_of_some = {"sklearn", "matplotlib", "peft", "fastapi", "onnx", "scipy.optimize"}
    assert not only_of_some & loaded


def test_the_package_loads_only_the_standard_library():
    known = sys.stdlib_module_names | {"cllm4rec", "__main__"}
    bare, with_package = loaded_by("pass"), loaded_by("import cllm4rec")
    strangers = {name.partition(".")[0] for name in with_package - bare} - known
    assert strangers == set()


def test_the_package_loads_in_no_time():
    def seconds() -> float:
        """Of the processor: others are at work on it while tests run."""
        before = os.times()
        subprocess.run([sys.executable, "-c", "import cllm4rec"], check=True)
        after = os.times()
        return after.children_user + after.children_system - sum(before[2:4])

    assert min(seconds() for _ in range(3)) < 0.3


def test_the_module_is_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "cllm4rec", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cllm4rec, version")
