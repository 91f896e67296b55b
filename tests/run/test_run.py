"""The run directory: whole files or none, and a manifest that tells the truth."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import InputError, IntegrityError, RunError
from cllm4rec.run import (
    FORMAT,
    RunDir,
    atomic_folder,
    atomic_write,
    read_json,
    sha256_file,
    write_json,
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=8,
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run").create()


def prepared(run: RunDir) -> RunDir:
    run.file("data").mkdir()
    run.file("data", "items.npy").write_bytes(b"123")
    run.finish("prepare", [run.file("data")], 1.5, users=7)
    return run


class TestAtomicWrite:
    def test_the_file_appears_whole_at_the_end_of_the_block(self, tmp_path):
        path = tmp_path / "new" / "a.txt"
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            assert not path.exists()
            assert temporary.name == f".a.txt.tmp-{os.getpid()}"
            temporary.write_text("whole")
        assert path.read_text() == "whole"
        assert list(path.parent.iterdir()) == [path]

    def test_files_are_as_readable_as_any_new_one(self, tmp_path):
        plain = tmp_path / "plain"
        plain.write_text("")
        private = {"mode": 0o600, "flags": os.O_CREAT | os.O_WRONLY}
        with atomic_write(tmp_path / "a") as temporary:
            os.close(os.open(temporary, **private))
        with atomic_folder(tmp_path / "f") as folder:
            os.close(os.open(folder / "b", **private))
        for path in (tmp_path / "a", tmp_path / "f" / "b"):
            assert path.stat().st_mode == plain.stat().st_mode

    @pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, OSError(28, "No space")])
    def test_a_fault_leaves_the_old_file_and_nothing_else(self, tmp_path, fault):
        path = tmp_path / "a.txt"
        path.write_text("old")

        def overwrite():
            with atomic_write(path) as temporary:
                temporary.write_text("half")
                raise fault

        with pytest.raises(fault if isinstance(fault, type) else OSError):
            overwrite()
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_what_a_killed_process_left_is_not_taken_over(self, tmp_path):
        leftover = tmp_path / f".a.txt.tmp-{os.getpid()}"
        leftover.write_text("from before")
        with atomic_write(tmp_path / "a.txt") as temporary, temporary.open("a") as file:
            file.write("new")
        assert (tmp_path / "a.txt").read_text() == "new"


class TestAtomicFolder:
    def test_replaces_the_old_folder_as_a_whole(self, tmp_path):
        folder = tmp_path / "data"
        for name in ("first", "second"):
            with atomic_folder(folder) as temporary:
                (temporary / "inner").mkdir()
                (temporary / "inner" / name).write_text(name)
        assert [path.name for path in (folder / "inner").iterdir()] == ["second"]
        assert list(tmp_path.iterdir()) == [folder]

    def test_a_link_stays_and_what_it_names_is_replaced(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        with atomic_folder(tmp_path / "link") as temporary:
            (temporary / "new").touch()
        assert (tmp_path / "link").is_symlink()
        assert [path.name for path in (tmp_path / "real").iterdir()] == ["new"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]

    @pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
    def test_a_fault_leaves_the_old_folder_and_nothing_else(self, tmp_path, fault):
        folder = tmp_path / "data"
        folder.mkdir()
        (folder / "old").touch()

        def overwrite():
            with atomic_folder(folder) as temporary:
                (temporary / "half").touch()
                raise fault

        with pytest.raises(fault):
            overwrite()
        assert [path.name for path in folder.iterdir()] == ["old"]
        assert list(tmp_path.iterdir()) == [folder]

    def test_an_interruption_between_the_two_renames_brings_the_old_folder_back(
        self, tmp_path, monkeypatch
    ):
        folder = tmp_path / "data"
        folder.mkdir()
        (folder / "old").touch()
        replace, calls = os.replace, []

        def interrupted_second(source, target):
            calls.append(target)
            if len(calls) == 2:
                raise KeyboardInterrupt
            replace(source, target)

        def overwrite():
            with atomic_folder(folder) as temporary:
                (temporary / "new").touch()
                monkeypatch.setattr(os, "replace", interrupted_second)

        with pytest.raises(KeyboardInterrupt):
            overwrite()
        assert [path.name for path in folder.iterdir()] == ["old"]
        assert list(tmp_path.iterdir()) == [folder]


class TestJson:
    @given(JSON_VALUES)
    def test_round_trip(self, tmp_path_factory, value):
        path = tmp_path_factory.mktemp("json") / "value.json"
        write_json(path, value)
        assert read_json(path) == value

    def test_numbers_that_are_not_finite_are_refused_and_leave_nothing(self, tmp_path):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", {"loss": float("nan")})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("text", [b'{"half": ', b"\xff\xfe", b""])
    def test_what_is_not_json_is_named(self, tmp_path, text):
        path = tmp_path / "a.json"
        path.write_bytes(text)
        with pytest.raises(IntegrityError, match=r"a\.json is not JSON"):
            read_json(path)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(IntegrityError, match=r"a\.json is missing"):
            read_json(tmp_path / "a.json")


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


class TestStages:
    def test_a_finished_stage_is_recorded_with_its_hashes(self, run):
        prepared(run)
        assert run.is_done("prepare")
        info = RunDir(run.path).info("prepare")
        assert info["users"] == 7
        assert info["seconds"] == 1.5
        assert info["files"] == {"data/items.npy": hashlib.sha256(b"123").hexdigest()}
        manifest = json.loads(run.file("manifest.json").read_text())
        assert manifest["format"] == FORMAT
        RunDir(run.path).require("prepare")

    def test_a_stage_that_is_not_done_names_the_command_to_run(self, run):
        assert not run.is_done("prepare")
        with pytest.raises(RunError, match=r"cllm4rec prepare --data DATA --run .*run` first"):
            run.require("prepare")

    def test_a_run_that_does_not_exist_has_no_stage_and_is_not_made(self, tmp_path):
        with pytest.raises(RunError, match="no finished stage"):
            RunDir(tmp_path / "absent").require("finetune")
        assert not (tmp_path / "absent").exists()

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda path: path.write_bytes(b"124"), "is not what `prepare` wrote"),
            (Path.unlink, "is missing"),
        ],
    )
    def test_a_damaged_file_is_named(self, run, damage, message):
        prepared(run)
        damage(run.file("data", "items.npy"))
        with pytest.raises(IntegrityError, match=rf"items\.npy {message}"):
            run.require("prepare")

    def test_forgetting_a_stage_drops_its_record_and_its_metrics_only(self, run):
        prepared(run)
        run.finish("pretrain", [], 1.0)
        run.log_metrics(stage="pretrain", loss=1.0)
        run.log_metrics(stage="finetune", loss=2.0)
        run.forget("pretrain", "evaluate")
        assert run.is_done("prepare")
        assert not run.is_done("pretrain")
        assert run.metrics() == [{"stage": "finetune", "loss": 2.0}]

    def test_forgetting_in_a_run_that_does_not_exist_makes_nothing(self, tmp_path):
        RunDir(tmp_path / "absent").forget("prepare")
        assert not (tmp_path / "absent").exists()

    @pytest.mark.parametrize("text", ['{"format": 1, "stages": {}}', "[]", "3"])
    def test_another_format_is_refused(self, tmp_path, text):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(RunError, match="made by another version; run `cllm4rec prepare` again"):
            RunDir(tmp_path).create()

    def test_a_manifest_without_stages_is_refused(self, tmp_path):
        (tmp_path / "manifest.json").write_text(f'{{"format": {FORMAT}}}')
        with pytest.raises(IntegrityError, match="no table of stages"):
            RunDir(tmp_path).is_done("prepare")

    @pytest.mark.parametrize("below", ["", "deeper"])
    def test_a_file_in_the_place_of_the_folder_is_refused(self, tmp_path, below):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="is not a folder"):
            RunDir(tmp_path / "file" / below).create()


class TestMetrics:
    def test_lines_are_appended_in_order(self, run):
        run.log_metrics(stage="finetune", step=1, loss=0.5)
        RunDir(run.path).log_metrics(stage="finetune", valid={"recall@20": 0.25})
        assert run.file("metrics.jsonl").read_text().splitlines() == [
            '{"stage": "finetune", "step": 1, "loss": 0.5}',
            '{"stage": "finetune", "valid": {"recall@20": 0.25}}',
        ]

    @pytest.mark.parametrize("row", [{"loss": float("nan")}, {"valid": {"loss": float("inf")}}])
    def test_numbers_that_are_not_finite_are_refused_by_name(self, run, row):
        with pytest.raises(ValueError, match=r"loss is (nan|inf)"):
            run.log_metrics(**row)
        assert run.metrics() == []

    def test_the_log_is_cut_back_to_a_checkpoint_and_never_grows(self, run):
        assert run.log_size() == 0
        run.log_metrics(step=1)
        size = run.log_size()
        run.log_metrics(step=2)
        run.cut_log(size)
        run.cut_log(10 * size)
        run.log_metrics(step=2)
        assert run.metrics() == [{"step": 1}, {"step": 2}]

    def test_half_a_line_of_a_killed_process_costs_no_other_line(self, run):
        run.log_metrics(step=1)
        with run.file("metrics.jsonl").open("a") as log:
            log.write('{"step": 2, "lo')
        run.log_metrics(step=3)
        assert run.metrics() == [{"step": 1}, {"step": 3}]
