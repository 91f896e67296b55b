"""A run of a Dataset: whose data it is, and what stays where it cannot be."""

import errno

import pytest

from cllm4rec import progress
from cllm4rec.config import SETS, DataConfig, read_config
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import ConfigError, InputError, IntegrityError
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import import_dataset
from support.as_good_as_trained import as_good_as_trained, kept, prepared_again
from support.input_folder import small_log, write_rows

WRONG = {"evaluate": {"baseline_settings": {"ease": {"l2": 3}}}}


@pytest.fixture
def source(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log(40, 30, 12))
    return tmp_path / "in"


@pytest.fixture
def run(source, tmp_path) -> RunDir:
    return as_good_as_trained(source, tmp_path / "run")


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
        import_dataset(run, same, None)
        assert kept(run)
        with pytest.raises(InputError, match=r"trained on other data; .* replace=True"):
            import_dataset(run, other, None)
        assert kept(run)
        import_dataset(run, other, None, replace=True)
    assert not kept(run)


@pytest.fixture
def beside(run) -> dict[str, bytes]:
    """What a run has beside its records, of the model that it has."""
    for name in ("results.json", "report.html", "topk/lists.parquet"):
        run.file(name).parent.mkdir(exist_ok=True)
        run.file(name).write_text("{}")
    return bytes_of(run.path)


def bytes_of(folder) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_a_dataset_whose_folder_has_other_data_now_is_in_no_run(source, run, tmp_path, beside):
    """The run has those other data: it is not taken for the dataset's."""
    write_rows(tmp_path / "few", "interactions", small_log(30, 20, 12))
    opened = Dataset.load(tmp_path / "few", folder=tmp_path / "data")
    Dataset.load(source, folder=tmp_path / "data")
    for replace in (False, True):
        with progress.quiet(), pytest.raises(IntegrityError, match=r"data was replaced or removed"):
            import_dataset(run, opened, None, replace=replace)
    assert bytes_of(run.path) == beside


def test_what_was_trained_stays_until_other_data_are_copied(run, tmp_path, beside, monkeypatch):
    write_rows(tmp_path / "few", "interactions", small_log(30, 20, 12))
    other = Dataset.load(tmp_path / "few", folder=tmp_path / "data")

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, progress.quiet():
        patched.setattr("shutil.copytree", full)
        with pytest.raises(OSError, match="No space left"):
            import_dataset(run, other, None, replace=True)
        assert bytes_of(run.path) == beside
    with progress.quiet(), pytest.raises(ConfigError, match="baseline_settings"):
        import_dataset(run, other, WRONG, replace=True)
    assert bytes_of(run.path) == beside
    with progress.quiet():
        import_dataset(run, other, None, replace=True)
    assert not kept(run)
    assert not [name for name in ("results.json", "topk") if run.file(name).exists()]


def test_settings_of_the_data_are_those_of_the_dataset(source, tmp_path):
    few = DataConfig(minimum_interactions=3, memory_limit="512MB")
    dataset = Dataset.load(source, config=few, folder=tmp_path / "data")
    run = RunDir(tmp_path / "run").create()
    same = {"minimum_interactions": 3, "memory_limit": "700MB"}
    with progress.quiet():
        for given in ({"data": same}, None, SETS):
            complete = import_dataset(run, dataset, given)
            assert complete.data.minimum_interactions == 3
            assert complete.data.memory_limit == "700MB"
    assert read_config(run.file("config.toml")).data == complete.data
    message = (
        "setting data.minimum_interactions = 5: the dataset was prepared with 3; "
        "leave it out, or give Dataset.load a DataConfig with it"
    )
    for target in (run, RunDir(tmp_path / "new").create()):
        with pytest.raises(ConfigError, match=f"^{message}$"):
            import_dataset(target, dataset, {"data": {"minimum_interactions": 5}})


def test_settings_that_do_not_fit_other_files_cost_no_model(run, tmp_path, beside):
    write_rows(tmp_path / "few", "interactions", small_log(30, 20, 12))
    with pytest.raises(ConfigError, match="baseline_settings"):
        prepared_again(tmp_path / "few", run, config=WRONG)
    assert bytes_of(run.path) == beside
    prepared_again(tmp_path / "few", run)
    assert not kept(run)
