"""What a person reads: every value, and nothing that moves the terminal's cursor."""

import io
import sys

import pytest

from cllm4rec.cli.tables import MOST_OF_A_TITLE, cell, show


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (12345, "12,345"),
        (0.123456, "0.1235"),
        (["a", 1], "a, 1"),
        ([], "none"),
        ("two\nlines\x1b[2J [red]", "two lines [2J [red]"),
    ],
)
def test_cells(value, text):
    assert cell(value) == text


def test_results_show_mean_and_interval_of_every_model(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    metrics = {"recall@20": {"mean": 0.34567, "low": 0.311, "high": 0.399}, "ndcg@100": 0.5}
    show({
        "part": "test",
        "rows": [
            {"model": "CLLM4Rec", "metrics": metrics},
            {"model": "ease", "metrics": {"recall@20": {"mean": 0.25}}},
        ],
    })
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["part", "test"]
    assert lines[1] == ["model", "recall@20", "ndcg@100"]
    assert lines[3:] == [
        ["CLLM4Rec", "0.3457", "0.5000"],
        ["0.311", "–", "0.399"],  # noqa: RUF001
        ["ease", "0.2500"],
    ]


def test_results_show_the_measures_that_selected_and_what_a_row_is(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    metrics = {"recall@20": 0.5, "recall@10": 0.25, "ndcg@10": 0.125}
    row = {"model": "hybrid", "note": "untrained start", "metrics": metrics}
    show({"part": "test", "selection": ["recall@10", "ndcg@10"], "rows": [row]})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert ["model", "recall@10", "ndcg@10"] in lines
    assert lines[-1] == ["hybrid", "(untrained", "start)", "0.2500", "0.1250"]


def test_nested_facts_and_lists_are_all_shown_and_hashes_are_not(capsys):
    show({
        "kept": {"users": 1200},
        "files": {"a": "sha"},
        "recommendations": {"u [bold]1": [{"rank": 1, "item_id": "[i]7", "title": None}]},
    })
    out = capsys.readouterr().out
    assert "kept · users 1,200" in " ".join(out.split())
    assert "recommendations · u [bold]1" in out
    assert "[i]7" in out
    assert "item id" in out
    assert "sha" not in out


def test_a_setting_keeps_its_name_in_a_sentence(capsys):
    show({"users_left_out": {"fewer positives than data.minimum_interactions": 7}})
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split("  ")[0] == (
        "users left out · fewer positives than data.minimum_interactions"
    )


def test_a_pipe_cuts_nothing_short(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "a reason that is longer than a terminal of eighty columns is wide, and then some more"
    title = "a title that is about as long as that reason, and stands beside it in the same line"
    show({"refused": {long: 1}, "rows": [{"rank": 1, "title": title, "item_id": "i" * 40}]})
    lines = capsys.readouterr().out.splitlines()
    assert any(long in line and line.rstrip().endswith(" 1") for line in lines)
    assert any(title in line and "i" * 40 in line for line in lines)
    assert max(len(line) for line in lines) < 200


def test_a_title_of_a_page_does_not_make_the_table_as_wide(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    show({"rows": [{"title": "t" * 4000, "item_id": "i" * 150}]})
    out = capsys.readouterr().out
    assert f" {'t' * (MOST_OF_A_TITLE - 1)}… " in out
    assert "i" * 150 in out, "an id is for copying"


ROWS = {"out": "a" * 200, "k": 1, "rows": [{"item_id": "i", "title": "t" * 90}, {"item_id": "j"}]}


def test_lines_in_a_pipe_end_with_what_they_say(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    show(ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert any("j" in line for line in lines)
    assert lines == [line.rstrip() for line in lines]


def test_a_terminal_gets_colours_and_its_own_width(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    show({"k": 1})
    assert "\x1b[2mk" in sys.stdout.getvalue()
