"""Preparing again: the same input changes nothing, another one ends what was built on the first."""

import json
import sys

import pytest

from cllm4rec import progress
from cllm4rec.config import read_config, request_of
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import CLLM4RecError, ConfigError, InputError
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import configure, import_dataset, prepare
from cllm4rec.stages.train import train
from support.as_good_as_trained import as_good_as_trained, kept
from support.as_good_as_trained import prepared_again as again
from support.input_folder import small_log, write_rows


@pytest.fixture
def source(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log(40, 30, 12))
    return tmp_path / "in"


@pytest.fixture
def run(source, tmp_path) -> RunDir:
    return as_good_as_trained(source, tmp_path / "run")


def configured(run, *overrides):
    with progress.quiet():
        return configure(run, None, overrides)


@pytest.mark.parametrize(
    ("protocol", "measures"),
    [
        ("paper", ["recall@20", "recall@40", "ndcg@100"]),
        ("leave-last-out", ["recall@10", "ndcg@10"]),
        ("new-items", ["recall@20"]),
    ],
)
def test_what_the_protocol_reports_selects(source, tmp_path, protocol, measures):
    run = RunDir(tmp_path / "run")
    again(source, run, protocol=protocol)
    assert configured(run).evaluate.selection == measures
    assert Dataset.open(run.file("data")).new_items_held_out == (protocol == "new-items")


def test_the_same_input_keeps_data_and_what_was_trained_on_them(source, run):
    stamp = run.file("data", "report.json").stat().st_mtime_ns
    first = RunDir(run.path.parent / "other")
    report = again(source, first)
    (source / "README.md").write_text("no matter")
    (source / "interactions.parquet").touch()
    assert again(source, run)["read"] == report["read"]
    assert kept(run)
    assert run.file("data", "report.json").stat().st_mtime_ns == stamp


def test_what_was_said_of_the_data_is_said_again(tmp_path, capsys):
    log = [{**row, "mood": "x"} for row in small_log(40, 30, 12)]
    write_rows(tmp_path / "in", "interactions", log)
    run = RunDir(tmp_path / "run")

    def said() -> list[str]:
        prepare(tmp_path / "in", run, split=None, protocol="paper", config=None)
        lines = capsys.readouterr().err.splitlines()
        assert not any("user_0" in line or "item_0" in line for line in lines)
        return lines

    first = said()
    assert any("mood" in line for line in first)
    data = run.info("prepare")["files"]
    stays, *second = said()
    assert "its data stay" in stays
    assert second == first
    assert run.info("prepare")["files"] == data
    manifest = json.loads(run.file("manifest.json").read_text("utf-8"))
    del manifest["stages"]["prepare"]["notes"]  # as of an earlier version
    run.file("manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert len(said()) == 2  # that the data stay, and the backbone


def test_settings_that_are_not_the_datas_are_written_anew(source, run):
    again(source, run, config={"finetune": {"epochs": 3}})
    assert kept(run)
    assert read_config(run.settings).finetune.epochs == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": "leave-last-out"},
        {"config": {"seed": 1}},
        {"config": {"data": {"minimum_interactions": 6}}},
        {"split": "split.parquet"},
    ],
)
def test_another_way_to_read_them_is_other_data(source, run, changes):
    if "split" in changes:
        changes = {"split": run.file(changes["split"])}
    again(source, run, **changes)
    assert not kept(run)


def test_another_file_is_other_data(source, run):
    write_rows(source, "items", [{"item_id": "i3", "title": "three"}])
    again(source, run)
    assert not kept(run)


def test_a_trained_model_does_not_go_unsaid(source, run, capsys):
    given = {"split": None, "protocol": "paper"}
    prepare(source, run, **given, config=None)
    with pytest.raises(InputError, match=r"trained on other data.*or --replace") as refused:
        prepare(source, run, **given, config={"seed": 1})
    assert str(run.path) in str(refused.value)
    assert kept(run)
    assert "trained model" not in capsys.readouterr().err
    prepare(source, run, **given, config={"seed": 1}, replace=True)
    assert f"{run.path} gets other data: its trained model goes" in capsys.readouterr().err
    prepare(source, run, **given, config={"seed": 2})
    assert "trained model" not in capsys.readouterr().err, "there is none left"


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_an_unfinished_training_does_not_go_unsaid(source, tmp_path, stage, capsys):
    run, given = RunDir(tmp_path / "run"), {"split": None, "protocol": "paper"}
    prepare(source, run, **given, config=None)
    run.file("checkpoints", stage).mkdir(parents=True)
    prepare(source, run, **given, config={"finetune": {"epochs": 3}})
    import_dataset(run, Dataset.open(run.file("data")), None)
    assert "unfinished training" not in capsys.readouterr().err, "the data are the same"
    expected = f"{run.path} gets other data: its unfinished training cannot go on\n"
    prepare(source, run, **given, config={"seed": 1})
    assert capsys.readouterr().err.count(expected) == 1
    import_dataset(run, Dataset.load(source, config={"minimum_interactions": 6}), None)
    assert capsys.readouterr().err.count(expected) == 1


def test_nothing_of_the_model_before_is_shown_of_other_data(source, run):
    for name in ("results.json", "report.html", "topk/test.parquet", "notes.txt"):
        run.file(name).parent.mkdir(exist_ok=True)
        run.file(name).write_text("of the model before")
    again(source, run, config={"seed": 1})
    assert [each.name for each in run.path.iterdir() if each.name in {"topk", "notes.txt"}] == [
        "notes.txt"
    ]
    assert not run.file("results.json").exists()
    assert not run.file("report.html").exists()


def test_damaged_data_are_made_again(source, run):
    whole = run.file("data", "parts.npy").read_bytes()
    run.file("data", "parts.npy").write_bytes(b"damaged")
    again(source, run, replace=False)
    assert not kept(run)
    assert run.file("data", "parts.npy").read_bytes() == whole


def test_what_is_missing_is_said_in_one_line(source, run):
    with pytest.raises(InputError, match="nowhere"):
        again(source / "nowhere", run)
    with pytest.raises(InputError, match=r"no\.parquet"):
        again(source, run, split=source / "no.parquet")
    assert kept(run), "a slip of the keyboard is no reason to forget what was trained"


@pytest.mark.parametrize("beside", [None, "notes.txt"])
def test_a_preparation_that_fails_leaves_nothing(source, tmp_path, beside):
    place = tmp_path / "new" / "run"
    if beside is not None:
        place.mkdir(parents=True)
        (place / beside).write_text("mine")
    with pytest.raises(InputError, match="nowhere"):
        again(source / "nowhere", RunDir(place))
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_relative_to(place.parent))
    assert left == ([] if beside is None else ["new", "notes.txt", "run"])


def test_the_input_is_never_what_is_replaced(source, run):
    with pytest.raises(InputError, match="would replace the input"):
        again(run.file("data"), run)
    with pytest.raises(InputError, match="would replace the input"):
        Dataset.load(source, folder=source)
    before = sorted(source.iterdir())
    with pytest.raises(InputError, match="is the input folder; choose another"):
        again(source, RunDir(source))
    assert sorted(source.iterdir()) == before
    notes = source.parent / "notes"
    notes.mkdir()
    (notes / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds what is no prepared data"):
        Dataset.load(source, folder=notes)
    assert (source / "interactions.parquet").is_file()
    assert (notes / "mine.txt").is_file()
    assert kept(run)


@pytest.mark.parametrize("name", ["data", "model", "checkpoints"])
def test_a_folder_with_something_of_ones_own_becomes_no_run(source, tmp_path, name):
    mine = tmp_path / "project" / name / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(InputError, match=f"a run would replace its {name}"):
        again(source, RunDir(tmp_path / "project"))
    assert list((tmp_path / "project").iterdir()) == [mine.parent]


@pytest.mark.parametrize("name", ["split.parquet", "metrics.jsonl", "results.json", "report.html"])
def test_a_file_of_ones_own_with_a_name_of_a_run_stays(source, tmp_path, name):
    mine = tmp_path / "project" / name
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(InputError, match=f"a run would replace its {name}"):
        again(source, RunDir(mine.parent))
    assert {path: path.read_text() for path in mine.parent.iterdir()} == {mine: "mine"}


def test_a_preparation_that_was_interrupted_begins_again(source, tmp_path, monkeypatch):
    run = RunDir(tmp_path / "run")

    def interrupted(*_args) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        # By its name the module cannot be had: the package has a function of that name.
        patched.setattr(sys.modules["cllm4rec.stages.prepare"], "write_split", interrupted)
        with pytest.raises(KeyboardInterrupt):
            again(source, run)
    assert not run.is_done("prepare")
    assert again(source, run)["read"] == 480
    assert run.is_done("prepare")


def test_training_does_not_say_that_data_were_read_otherwise(source, run):
    before = run.file("config.toml").read_bytes()
    with pytest.raises(ConfigError, match=r"data\.minimum_rating = 1\.0: .* prepared with 3\.0"):
        configured(run, "data.minimum_rating=1", "backbone.depth=99")
    assert run.file("config.toml").read_bytes() == before
    assert (
        configured(run, "data.memory_limit=2GB").data == read_config(run.file("config.toml")).data
    )


def test_settings_that_do_not_work_are_not_kept(source, run, backbone):
    before = run.file("config.toml").read_bytes()
    for slip in (f'backbone.name="{backbone}"', "backbone.depth=99"), ("backbone.name=nowhere",):
        with pytest.raises(CLLM4RecError), progress.quiet():
            train(run, configured(run, *slip))
        assert run.file("config.toml").read_bytes() == before


def test_a_backbones_folder_is_found_from_anywhere(source, run, backbone, monkeypatch):
    monkeypatch.chdir(backbone.parent)
    assert configured(run, f"backbone.name={backbone.name}").backbone.name == str(
        backbone.resolve()
    )


@pytest.mark.parametrize("setting", ["ease.l2=3", "sasrec.dims=[0]", "ease-lm.backbon='x'"])
def test_what_a_baseline_does_not_take_is_refused_before_the_training(source, run, setting):
    override = f"evaluate.baseline_settings.{setting}"
    with pytest.raises(ConfigError, match=r"baseline_settings\.[\w-]+: .*; its settings: "):
        configured(run, override)
    with pytest.raises(ConfigError, match=r"baseline_settings\.[\w-]+: .*; its settings: "):
        again(source, run, config=request_of(None, [override]))
    assert kept(run)
