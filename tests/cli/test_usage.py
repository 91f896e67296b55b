"""Wrong usage is one line, and which commands and options there are."""

from itertools import chain

import click
import pytest

from cllm4rec.cli import cllm4rec
from support.stages import TRAINING, code_of


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
            (
                ["recommend", "--run", "R", "--profile", "country=FR", "newsletter=ja"],
                "write --profile country=FR,newsletter=ja",
            ),
            (
                ["recommend", "--run", "R", "--profile", "town=Le", "Mans", "a=b"],
                "write --profile 'town=Le Mans,a=b'",
            ),
            (["recommend", "--run", "R", "--all"], "--all needs --out"),
            (["recommend", "--run", "R", "--all", "--out", "x.tsv"], "written as Parquet or CSV"),
            (["recommend", "--run", "R", "--users", "u", "--out", "D"], "one file, not D; give"),
            (
                ["recommend", "--run", "R", "--all", "--out", "x.csv.gz"],
                "give FILE.parquet or FILE",
            ),
            (["recommend", "--run", "R", "--users", "1", "--out", "x.JSON"], "written as Parquet"),
            (["recommend", "--run", "R", "--histories", "F"], "--histories needs --out"),
            (
                ["recommend", "--run", "R", "--histories", "F", "--out", "x.parquet"],
                "a folder of shards",
            ),
            (
                ["recommend", "--run", "R", "--histories", "F", "--out", "x.csv"],
                "give --out FOLDER",
            ),
            (["recommend", "--run", "R", "--all", "--ray", "2", "--out", "x.csv"], "--out FOLDER"),
            (["recommend", "--run", "R", "--all", "--histories", "F", "--out", "D"], "exactly one"),
            (["recommend", "--run", "R", "--all", "--out", "D", "--shard-users", "0"], "--shard"),
            (["recommend", "--run", "R", "--history", "1", "--out", "F"], "--out is for users"),
            (["recommend", "--run", "R", "--users", "1", "--k", "0"], "--k"),
            (
                ["recommend", "--run", "R", "--users", "1", "--where", "x"],
                "'x' is no condition; give",
            ),
            (["recommend", "--run", "R", "--users", "1", "--where", "=x"], "is no condition"),
            (
                ["recommend", "--run", "R", "--users", "1", "--where", "x=1", "--where", "x=2"],
                "where: 'x' is given twice",
            ),
            (["recommend", "--run", "R", "--users", "1", "--include", "absent"], "absent: No such"),
            (["similar", "--run", "R"], "Missing argument 'ITEM...'"),
            (["data", "nothing", "--to", "D"], "no data set 'nothing'; there are movielens-100k"),
            (["bench", "quality", "P"], "Missing option '--out'"),
            (["bench", "quality", "none.toml", "--out", "D"], "no plan at none.toml"),
            (["bench", "unknown"], "No such command 'unknown'"),
            (["unknown"], "No such command 'unknown'"),
            (["--nothing"], "No such option '--nothing'. (--help lists what there is)"),
            (["similar", "--run", "R", "-6"], "that begins with a dash comes after a bare --)"),
            (["similar", "--run", "R", "--kk"], "(--help lists what there is)"),
            (["data", "-6"], "(--help lists what there is)"),
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
            *("--interactions", "--device", "--devices", "--memory", "--keep-test", "--replace"),
            *("--only-datasets", "--only-models", "--query-weight"),
        }
