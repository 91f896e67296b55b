"""A manifest that was edited is one line, in each command that reads it."""

import json
import math

import pytest

from cllm4rec.cli import main
from cllm4rec.errors import CLLM4RecError, IntegrityError
from cllm4rec.run import FORMAT, RunDir

HASH = "0" * 64


@pytest.fixture
def run(tmp_path) -> RunDir:
    """Every stage is done, as far as the manifest knows."""
    run = RunDir(tmp_path / "run").create()
    found = {"start": {"std": 1.0}, "linear": None}
    run.finish("prepare", [], 1.0)
    run.finish("initialise", [], 1.0, identity=HASH, **found)
    run.finish("finetune", [], 1.0, identity=HASH, epochs=2, best_epoch=1, blend=0.5, **found)
    return run


def edited(run: RunDir, place: list[str], value: object) -> None:
    """Put a value into the manifest; None takes the key out."""
    path = run.file("manifest.json")
    manifest = json.loads(path.read_text())
    table = manifest
    for key in place[:-1]:
        table = table[key]
    if value is None:
        del table[place[-1]]
    else:
        table[place[-1]] = value
    path.write_text(json.dumps(manifest))


def test_what_was_not_edited_is_read(run):
    assert run.is_done("finetune")
    assert run.info("finetune")["blend"] == 0.5
    assert run.info("initialise")["linear"] is None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["stages"], None),
        (["stages"], []),
        (["stages", "finetune"], "done"),
        (["stages", "finetune"], [1]),
        (["stages", "finetune", "files"], None),
        (["stages", "finetune", "files"], ["model/model.json"]),
        (["stages", "finetune", "files"], {"model/model.json": 3}),
        (["stages", "finetune", "seconds"], "long"),
        (["stages", "finetune", "seconds"], None),
        (["stages", "finetune", "seconds"], True),
        (["stages", "finetune", "identity"], 3),
        (["stages", "finetune", "best_epoch"], "2"),
        (["stages", "finetune", "best_epoch"], 1.5),
        (["stages", "finetune", "blend"], {}),
        (["stages", "finetune", "start"], [1.0]),
        (["stages", "finetune", "linear"], "ease"),
        (["stages", "finetune", "seconds"], -1.0),
        (["stages", "finetune", "best_epoch"], -1),
        (["stages", "finetune", "best_epoch"], 3),
        (["stages", "finetune", "epochs"], -2),
        (["stages", "finetune", "blend"], math.inf),
        (["stages", "finetune", "blend"], math.nan),
        (["stages", "finetune", "blend"], 1.5),
        (["stages", "finetune", "start", "std"], "1"),
        (["stages", "finetune", "start", "std"], math.inf),
        (["stages", "initialise", "start", "std"], []),
        (["stages", "initialise", "linear"], {"l2": -math.inf}),
        (["stages", "finetune", "valid"], {"recall@20": math.nan}),
        (["stages", "finetune", "valid"], {"recall@20": [math.inf]}),
        (["stages", "prepare", "notes"], 5),
        (["stages", "prepare", "notes"], ["said", 5]),
    ],
)
def test_a_value_of_another_type_is_named(run, place, value):
    edited(run, place, value)
    with pytest.raises(IntegrityError, match=r"manifest\.json.*undo the edit") as refused:
        run.is_done("prepare")
    assert place[-1] in str(refused.value)


def test_a_key_that_was_taken_out_is_named_where_it_is_asked_for(run):
    edited(run, ["stages", "finetune", "start"], None)
    with pytest.raises(IntegrityError, match=r"the record of `finetune` has no start; undo"):
        run.info("finetune")["start"]


@pytest.mark.parametrize("text", ["", "{", "nan,", "\udcff", "[" * 100_000])
def test_no_command_has_a_traceback_of_what_is_not_json(run, capsys, text):
    run.file("manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    where = ["--run", str(run.path)]
    for command in (
        *([stage, *where] for stage in ("initialise", "pretrain", "finetune", "train")),
        ["evaluate", *where],
        ["refit", *where, "--to", str(run.path.parent / "to")],
        ["recommend", *where, "--users", "u"],
        ["similar", *where, "i"],
        ["add-items", *where, "--items", __file__],
        ["remove-items", *where, "--all"],
        ["export", *where, "--to", str(run.path.parent / "to")],
        ["serve", *where],
        ["prepare", *where, "--data", str(run.path.parent)],
    ):
        with pytest.raises(SystemExit) as end:
            main(command)
        said = capsys.readouterr().err
        assert (end.value.code, said.count("\n")) == (2, 1), (command, said)
        assert "manifest.json is not JSON" in said


@pytest.mark.parametrize("given", [{"format": FORMAT - 1, "stages": {}}, {"stages": {}}, [], 3])
def test_another_format_is_another_version(run, given):
    run.file("manifest.json").write_text(json.dumps(given))
    with pytest.raises(CLLM4RecError, match="made by another version"):
        run.is_done("prepare")
