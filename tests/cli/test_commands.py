"""Each command hands its arguments to one stage, and prints that stage's result."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cllm4rec.config import Request
from cllm4rec.data import sources
from cllm4rec.recommender.catalogue import Filters
from support.stages import TRAINING, code_of, the_call

NOBODY = {"query": None, "query_weight": None, "profile": None}


class TestTranslation:
    def test_prepare(self, stages, tmp_path):
        assert code_of("prepare", "--data", "D", "--run", tmp_path, "--set", "seed=4") == 0
        name, arguments, options = the_call(stages)
        assert (name, arguments) == ("prepare", (Path("D"), tmp_path))
        assert options == {
            "split": None,
            "protocol": "paper",
            "config": Request("auto", {"seed": 4}),
            "replace": False,
        }

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["--split", "s.parquet"], {"split": Path("s.parquet"), "protocol": "paper"}),
            (["--protocol", "temporal"], {"split": None, "protocol": "temporal"}),
            (["--replace"], {"replace": True}),
        ],
    )
    def test_prepare_does_as_it_is_told(self, stages, tmp_path, given, expected):
        assert code_of("prepare", "--data", "D", "--run", tmp_path, *given) == 0
        assert the_call(stages)[2].items() >= expected.items()

    @pytest.mark.parametrize("command", TRAINING)
    def test_training(self, stages, tmp_path, command):
        assert code_of(command, "--run", tmp_path, "--config", "paper", "--set", "seed=2") == 0
        assert the_call(stages) == (command, (tmp_path, Request("paper", {"seed": 2})), {})

    def test_settings_of_a_file(self, stages, tmp_path):
        (tmp_path / "mine.toml").write_text('preset = "sets"\n[finetune]\nepochs = 2\n')
        given = "--config", tmp_path / "mine.toml", "--set", "seed=4"
        assert code_of("prepare", "--data", "D", "--run", tmp_path, *given) == 0
        wanted = Request("sets", {"finetune": {"epochs": 2}, "seed": 4})
        assert the_call(stages)[2]["config"] == wanted

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["--topk", "theirs.parquet"], {"topk": Path("theirs.parquet")}),
            (["--set", "evaluate.bootstrap=9"], {"overrides": ("evaluate.bootstrap=9",)}),
        ],
    )
    def test_evaluate(self, stages, tmp_path, given, expected):
        assert code_of("evaluate", "--run", tmp_path, *given) == 0
        given = {"topk": None, "overrides": (), **expected}
        assert the_call(stages) == ("evaluate", (tmp_path,), given)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["--users", "7", "a b"], {"users": ["7", "a b"], "history": None, "k": 10}),
            (
                ["--users", "7", "--where", "a=b=c", "--where", "d=", "--seen"],
                {
                    "users": ["7"],
                    "history": None,
                    "k": 10,
                    "filters": Filters(where=("a=b=c", "d="), seen=True),
                },
            ),
            (["--users", "--k", "3", "--", "-5"], {"users": ["-5"], "history": None, "k": 3}),
            (["--history", "🎬", "--k", "3"], {"users": None, "history": ["🎬"], "k": 3}),
        ],
    )
    def test_recommend(self, stages, tmp_path, given, expected):
        assert code_of("recommend", "--run", tmp_path, *given) == 0
        expected = NOBODY | {"k": 10, "filters": Filters(), **expected, "out": None}
        assert the_call(stages) == ("recommend", (tmp_path,), expected)

    def test_filters_by_files_of_ids(self, stages, tmp_path):
        (tmp_path / "some").write_bytes("\ufeff50\r\n\n a b\n".encode())
        (tmp_path / "none").write_text("\n")
        given = ["--include", tmp_path / "some", "--exclude", tmp_path / "none"]
        assert code_of("recommend", "--run", tmp_path, "--users", "7", *given) == 0
        assert the_call(stages)[2]["filters"] == Filters(["50", " a b"], [])

    def test_similar(self, stages, tmp_path):
        assert code_of("similar", "--run", tmp_path, "50", "181", "--k", 5) == 0
        assert the_call(stages) == ("similar", (tmp_path, ["50", "181"]), {"k": 5, "by": "model"})

    @pytest.mark.parametrize("name", ["topk.parquet", "topk.csv", "topk.CSV", "topk.PARQUET"])
    def test_recommend_for_everyone(self, stages, tmp_path, name):
        out = tmp_path / name
        assert code_of("recommend", "--run", tmp_path, "--all", "--k", 100, "--out", out) == 0
        expected = {"users": None, "history": None, "k": 100, "out": out, "filters": Filters()}
        assert the_call(stages) == ("recommend", (tmp_path,), NOBODY | expected)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["--all", "--k", 100], {"k": 100, "histories": None, "shard_users": 10_000}),
            (
                ["--all", "--where", "a<b", "--where", "a>=c", "--seen"],
                {"histories": None, "filters": Filters(where=("a<b", "a>=c"), seen=True)},
            ),
            (
                ["--histories", "h.parquet", "--shard-users", 7],
                {"histories": Path("h.parquet"), "shard_users": 7},
            ),
        ],
    )
    def test_recommend_into_a_folder(self, stages, tmp_path, given, expected):
        assert code_of("recommend", "--run", tmp_path, *given, "--out", "D") == 0
        plain = {"out": Path("D"), "k": 10, "shard_users": 10_000, "filters": Filters()}
        expected = {**plain, **expected}
        assert the_call(stages) == ("recommend_all", (tmp_path,), expected)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ([], {"k": 100, "onnx": True, "int8": False}),
            (["--k", 5, "--no-onnx"], {"k": 5, "onnx": False, "int8": False}),
        ],
    )
    def test_export(self, monkeypatch, capsys, tmp_path, given, expected):
        calls: list[Any] = []
        export = SimpleNamespace(
            export_run=lambda *arguments, **options: calls.append((arguments, options)) or {"k": 1}
        )
        monkeypatch.setitem(sys.modules, "cllm4rec.export", export)
        assert code_of("export", "--run", tmp_path, "--to", "D", "--json", *given) == 0
        (((run, to), options),) = calls
        assert (run.path, to, options) == (tmp_path, Path("D"), expected)

    def test_demo(self, stages):
        assert code_of("demo", "--set", "seed=3", "--split", "s.parquet") == 0
        expected = (
            "demo",
            (Path("runs/demo"), Request("auto", {"seed": 3})),
            {"split": Path("s.parquet")},
        )
        assert the_call(stages) == expected

    def test_bench_quality(self, monkeypatch, tmp_path, capsys):
        calls: list[Any] = []
        table = {"rows": [], "failed": []}
        bench = SimpleNamespace(
            load_plan=lambda path, datasets: ("plan", path, datasets),
            quality=lambda *given, **options: calls.append((given, options)) or table,
            table_page=lambda result: f"# A page of {len(result)}\n",
        )
        monkeypatch.setitem(sys.modules, "cllm4rec.experiments", bench)
        monkeypatch.setattr("cllm4rec.experiments", bench, raising=False)
        assert code_of("bench", "quality", "P.toml", "--out", tmp_path) == 0
        assert capsys.readouterr().out == "# A page of 2\n"
        filters = ["--only-models", "a", "--only-models", "b", "--only-datasets", "d"]
        table["failed"] = [{"reason": "x"}]
        assert code_of("bench", "quality", "P.toml", "--out", tmp_path, *filters, "--json") == 1
        assert json.loads(capsys.readouterr().out) == table
        whole, some = (("plan", Path("P.toml"), datasets) for datasets in ((), ("d",)))
        assert calls == [
            ((whole, tmp_path), {"only_datasets": (), "only_models": ()}),
            ((some, tmp_path), {"only_datasets": ("d",), "only_models": ("a", "b")}),
        ]

    def test_data(self, monkeypatch, tmp_path, capsys):
        def write(folder: Path) -> None:
            folder.mkdir()
            (folder / "interactions.csv").touch()

        monkeypatch.setattr(sources, "SOURCES", {"toy": write})
        assert code_of("data", "toy", "--to", tmp_path / "D", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {
            "name": "toy",
            "folder": str(tmp_path / "D"),
            "written": ["interactions.csv"],
        }


class TestJson:
    def test_standard_output_carries_one_object_and_nothing_else(self, stages, tmp_path, capsys):
        stages.result = {"rows": [{"model": "é", "path": Path("x")}]}
        assert code_of("evaluate", "--run", tmp_path, "--json") == 0
        out, err = capsys.readouterr()
        assert json.loads(out) == {"rows": [{"model": "é", "path": "x"}]}
        assert out.count("\n") == 1
        assert err == "a library's chatter\n"

    def test_numpy_numbers_are_numbers(self, stages, tmp_path, capsys):
        np = pytest.importorskip("numpy")
        stages.result = {"mean": np.float32(0.5), "users": np.int64(3), "ids": np.arange(2)}
        assert code_of("evaluate", "--run", tmp_path, "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"mean": 0.5, "users": 3, "ids": [0, 1]}

    def test_what_has_no_json_form_is_our_fault(self, stages, tmp_path, capsys):
        stages.result = {"what": object()}
        assert code_of("evaluate", "--run", tmp_path, "--json") == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "object has no JSON form" in err
