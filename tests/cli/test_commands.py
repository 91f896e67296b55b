"""Each command hands its arguments to one stage, and prints that stage's result."""

import json
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from cllm4rec.cli import cllm4rec, main
from cllm4rec.config import Request, request_of
from cllm4rec.data import sources
from cllm4rec.recommender.catalogue import Filters
from cllm4rec.run import RunDir

TRAINING = ("initialise", "pretrain", "finetune", "train")
OTHERS = ("prepare", "evaluate", "recommend", "recommend_all", "similar", "demo")
NOBODY = {"query": None, "query_weight": None, "profile": None}


class Stages:
    """Stands in for the modules of ``cllm4rec.stages``: notes calls, prints, returns ``result``."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.result: dict[str, Any] = {"seconds": 1.5}

    @staticmethod
    def configure(_run: RunDir, config: str | None, overrides: tuple[str, ...]) -> Request:
        """What is asked for; what it means for a run is the business of the stages."""
        return request_of(config, overrides)

    def named(self, name: str) -> Callable[..., dict[str, Any]]:
        def stage(*arguments: Any, **options: Any) -> dict[str, Any]:
            self.calls.append((name, arguments, options))
            print("a library's chatter")
            return self.result

        return stage


@pytest.fixture
def stages(monkeypatch) -> Stages:
    stages = Stages()
    for name in (*TRAINING, *OTHERS):
        stand_in = SimpleNamespace(**{name: stages.named(name), "configure": stages.configure})
        monkeypatch.setitem(sys.modules, f"cllm4rec.stages.{name}", stand_in)
    return stages


def code_of(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def the_call(stages: Stages) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    ((name, arguments, options),) = stages.calls
    return name, tuple(a.path if isinstance(a, RunDir) else a for a in arguments), options


class TestTranslation:
    def test_prepare(self, stages, tmp_path):
        assert code_of("prepare", "--data", "D", "--run", tmp_path, "--set", "seed=4") == 0
        name, arguments, options = the_call(stages)
        assert (name, arguments) == ("prepare", (Path("D"), tmp_path))
        assert options == {
            "split": None,
            "protocol": "paper",
            "config": Request("auto", {"seed": 4}),
        }

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["--split", "s.parquet"], {"split": Path("s.parquet"), "protocol": "paper"}),
            (["--protocol", "temporal"], {"split": None, "protocol": "temporal"}),
        ],
    )
    def test_prepare_keeps_to_a_split_or_a_protocol(self, stages, tmp_path, given, expected):
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
                    "filters": Filters(where={"a": "b=c", "d": ""}, seen=True),
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

    def test_recommend_for_everyone(self, stages, tmp_path):
        out = tmp_path / "topk.parquet"
        assert code_of("recommend", "--run", tmp_path, "--all", "--k", 100, "--out", out) == 0
        expected = {"users": None, "history": None, "k": 100, "out": out, "filters": Filters()}
        assert the_call(stages) == ("recommend", (tmp_path,), NOBODY | expected)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["--all", "--k", 100], {"k": 100, "histories": None, "shard_users": 10_000}),
            (
                ["--all", "--where", "a=b", "--seen"],
                {"histories": None, "filters": Filters(where={"a": "b"}, seen=True)},
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
        assert code_of("export", "--run", tmp_path, "--to", "D", *given) == 0
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
            load_plan=lambda path: ("plan", path),
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
        plan = ("plan", Path("P.toml"))
        assert calls == [
            ((plan, tmp_path), {"only_datasets": (), "only_models": ()}),
            ((plan, tmp_path), {"only_datasets": ("d",), "only_models": ("a", "b")}),
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


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["prepare", "--run", "R"], "Missing option '--data'"),
            (["prepare", "--data", "D"], "Missing option '--run'"),
            (
                ["prepare", "--data", "D", "--run", "R", "--split", "F", "--protocol", "paper"],
                "--split and --protocol exclude each other",
            ),
            (["prepare", "--data", "D", "--run", "R", "--protocol", "x"], "leave-last-out"),
            (["train", "--run", "R", "--set", "finetune.epoch=1"], "did you mean"),
            (["train", "--run", "R", "--config", "absent.toml"], "absent.toml"),
            (["recommend", "--run", "R"], "give exactly one of --all, --users IDS"),
            (["recommend", "--run", "R", "--users", "--all", "1"], "exactly one of"),
            (["recommend", "--run", "R", "--users"], "need IDS"),
            (["recommend", "--run", "R", "--all", "1", "--out", "F"], "--all, --histories and"),
            (["recommend", "--run", "R", "--all"], "--all needs --out"),
            (["recommend", "--run", "R", "--all", "--out", "x.csv"], "written as Parquet"),
            (["recommend", "--run", "R", "--users", "1", "--out", "x.JSON"], "written as Parquet"),
            (["recommend", "--run", "R", "--histories", "F"], "--histories needs --out"),
            (
                ["recommend", "--run", "R", "--histories", "F", "--out", "x.parquet"],
                "a folder of shards",
            ),
            (["recommend", "--run", "R", "--all", "--histories", "F", "--out", "D"], "exactly one"),
            (["recommend", "--run", "R", "--all", "--out", "D", "--shard-users", "0"], "--shard"),
            (["recommend", "--run", "R", "--history", "1", "--out", "F"], "--out is for users"),
            (["recommend", "--run", "R", "--users", "1", "--k", "0"], "--k"),
            (["recommend", "--run", "R", "--users", "1", "--where", "x"], "'x' is not KEY=VALUE"),
            (["recommend", "--run", "R", "--users", "1", "--where", "=x"], "is not KEY=VALUE"),
            (
                ["recommend", "--run", "R", "--users", "1", "--where", "x=1", "--where", "x=2"],
                "--where x is given twice",
            ),
            (["recommend", "--run", "R", "--users", "1", "--include", "absent"], "absent: No such"),
            (["similar", "--run", "R"], "Missing argument 'ITEM...'"),
            (["data", "nothing", "--to", "D"], "no data set 'nothing'; there are movielens-100k"),
            (["bench", "quality", "P"], "Missing option '--out'"),
            (["bench", "quality", "none.toml", "--out", "D"], "no plan at none.toml"),
            (["bench", "unknown"], "No such command 'unknown'"),
            (["unknown"], "No such command 'unknown'"),
            (["--nothing"], "No such option"),
        ],
    )
    def test_wrong_usage_is_one_line_and_exit_code_2(self, stages, capsys, arguments, message):
        assert code_of(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert stages.calls == []

    @pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["train", "--help"], ["--version"]])
    def test_help_is_on_standard_output(self, arguments, capsys):
        assert code_of(*arguments) == 0
        out, err = capsys.readouterr()
        assert "cllm4rec" in out
        assert err == ""

    def test_no_command_shows_what_there_is(self, capsys):
        assert code_of() == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "Commands:" in err

    def test_the_commands_are_these(self):
        stages = ["prepare", *TRAINING, "refit", "evaluate", "recommend"]
        items = ["similar", "add-items", "remove-items"]
        last = ["export", "demo", "bench", "plan", "serve"]
        assert list(cllm4rec.commands) == ["data", *stages, *items, *last]
        assert isinstance(bench := cllm4rec.commands["bench"], click.Group)
        assert list(bench.commands) == ["quality"]

    def test_options_are_few_and_no_setting_has_its_own(self):
        commands = cllm4rec.commands.values()
        below = [getattr(command, "commands", {}).values() for command in commands]
        options = {
            name
            for command in chain(commands, *below)
            for parameter in command.params
            for name in parameter.opts
            if name.startswith("-")
        }
        assert options == {
            *("--all", "--config", "--data", "--history", "--json", "--k", "--out", "--protocol"),
            *("--run", "--set", "--split", "--to", "--topk", "--users", "--profile", "--ray"),
            *("--host", "--port", "--keys", "--feedback", "--batch-tokens", "--max-wait-ms"),
            *("--histories", "--onnx", "--int8", "--shard-users", "--query", "--by"),
            *("--where", "--include", "--exclude", "--seen", "--items", "--skip"),
            *("--interactions", "--device", "--devices", "--memory", "--keep-test"),
            *("--only-datasets", "--only-models", "--query-weight"),
        }
