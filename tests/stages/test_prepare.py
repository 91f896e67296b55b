"""Preparing again: the same input changes nothing, another one ends what was built on the first."""

import pytest

from cllm4rec import progress, stages
from cllm4rec.config import Config, load_config
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError
from cllm4rec.rundir import RunDir
from support.input_folder import small_log, write_rows

LATER = ("pretrain", "finetune", "evaluate")


@pytest.fixture
def source(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log(40, 30, 12))
    return tmp_path / "in"


@pytest.fixture
def run(source, tmp_path) -> RunDir:
    """Prepared, and as good as trained."""
    run = RunDir(tmp_path / "run")
    again(source, run)
    for stage in LATER:
        run.finish(stage, [], 0.0)
    return run


def again(source, run, *, config=None, split=None, protocol="paper") -> dict:
    with progress.quiet():
        return stages.prepare(
            source, run, split=split, protocol=protocol, config=config or Config()
        )


def kept(run) -> bool:
    assert run.is_done("prepare")
    done = {run.is_done(stage) for stage in LATER}
    assert len(done) == 1
    return done.pop()


def test_the_same_input_keeps_data_and_what_was_trained_on_them(source, run):
    stamp = run.file("data", "report.json").stat().st_mtime_ns
    first = RunDir(run.path.parent / "other")
    report = again(source, first)
    (source / "README.md").write_text("no matter")
    (source / "interactions.parquet").touch()
    assert again(source, run)["read"] == report["read"]
    assert kept(run)
    assert run.file("data", "report.json").stat().st_mtime_ns == stamp


def test_settings_that_are_not_the_datas_are_written_anew(source, run):
    again(source, run, config=load_config(None, ["finetune.epochs=3"]))
    assert kept(run)
    assert load_config(run.file("config.toml")).finetune.epochs == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": "leave-last-out"},
        {"config": Config(seed=1)},
        {"config": load_config(None, ["data.minimum_interactions=6"])},
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


def test_damaged_data_are_made_again(source, run):
    whole = run.file("data", "parts.npy").read_bytes()
    run.file("data", "parts.npy").write_bytes(b"damaged")
    again(source, run)
    assert not kept(run)
    assert run.file("data", "parts.npy").read_bytes() == whole


def test_what_is_missing_is_said_in_one_line(source, run):
    with pytest.raises(InputError, match="nowhere"):
        again(source / "nowhere", run)
    with pytest.raises(InputError, match=r"no\.parquet"):
        again(source, run, split=source / "no.parquet")


def test_a_dataset_of_the_same_counts_is_another_dataset(source, run, tmp_path):
    rows = small_log(40, 30, 12)
    swapped = {"i0": "i1", "i1": "i0"}
    for row in rows:
        row["item_id"] = swapped.get(row["item_id"], row["item_id"])
    write_rows(tmp_path / "swapped", "interactions", rows)
    same, other = (
        Dataset.load(folder, folder=tmp_path / folder.name / "data")
        for folder in (source, tmp_path / "swapped")
    )
    assert same.report() == other.report()
    with progress.quiet():
        stages.adopt(run, same, Config())
        assert kept(run)
        stages.adopt(run, other, Config())
    assert not kept(run)
