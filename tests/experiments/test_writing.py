import pytest

from cllm4rec.experiments.plot import draw
from cllm4rec.experiments.table import measure, rows_of
from cllm4rec.experiments.writing import slices_page, table_page
from support.toy_bench import finished_cell


@pytest.fixture(scope="module")
def table(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cells")
    cells = [
        finished_cell(folder, data, "mine", 0, skills={"": 0.3, "linear model": 0.1}, resumed=True),
        finished_cell(folder, data, "mine", 1, skills={"": 0.3, "linear model": 0.1}),
        finished_cell(folder, data, "ease", 0, skills={"": 0.2}, baseline=True),
    ]
    failed = {"dataset": "world", "model": "bro|ken", "seed": 0, "reason": "no backbone | at x"}
    return {
        "bootstrap": 1000,
        "rows": rows_of(data, measure(data, cells), 30),
        "hypotheses": [
            {"better": "mine", "than": "ease", "dataset": "wor|ld", "metric": "recall@10"}
            | {"seeds": [[0, 1], [0]], "difference": 0.0123, "p": 0.01, "p_holm": 0.02},
        ],
        "failed": [failed, {**failed, "seed": 1}],
        "left_out": [{"dataset": "world", "model": "ials", "seed": 0, "reason": "not installed"}],
        "missing": [{"dataset": "later", "model": None, "seed": None}],
    }


def cells_of(page: str) -> list[list[str]]:
    """The cells of every line of the page's tables."""
    lines = [line.replace("\\|", "¦") for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_line_has_as_many_cells_as_its_table(table):
    for page in (table_page(table), slices_page(table)):
        lines = cells_of(page)
        for place, line in enumerate(lines):
            if set(line) == {"---"}:
                width = len(line)
                assert len(lines[place - 1]) == width
            elif place + 1 < len(lines) and set(lines[place + 1]) != {"---"} and place > 1:
                assert len(line) == width


def test_rows_show_means_intervals_cost_and_what_failed(table):
    head, _rule, mine, half, ease, broken, *_ = cells_of(table_page(table))
    assert head[:4] == ["data", "split", "model", "seeds"]
    value = table["rows"][0]["metrics"]["recall@20"]
    assert mine[:4] == ["world", "split file", "mine", "0, 1"]
    interval = f"({value['low']:.3f} – {value['high']:.3f})"  # noqa: RUF001
    assert mine[4] == f"{value['mean']:.4f} {interval}"
    assert mine[-2:] == ["≥ 10", "101"]
    assert half[-2:] == ["", ""]
    assert ease[4].startswith("**0."), "the best baseline stands out"
    assert broken[2:5] == ["bro¦ken", "", "failed: no backbone ¦ at x"]


def test_differences_and_what_has_no_row(table):
    page = table_page(table)
    value = table["rows"][0]["metrics"]["recall@20"]
    assert f"{100 * value['difference']:+.1f} %, p {value['p']:.3f}" in page
    assert "- world · bro\\|ken · seed 1: no backbone \\| at x" in page
    assert "## Left out\n\n- world · ials · seed 0: not installed" in page
    assert "## Missing\n\n- later · all\n" in page
    assert "which favours the\nbaselines" in page
    assert page.endswith("fixed.\n")


def test_a_hypothesis_has_its_own_table(table):
    _before, _title, after = table_page(table).partition("## Hypothesis: mine above ease\n\n")
    _head, _rule, line, *_ = cells_of(after)
    assert line == ["wor¦ld", "0, 1 / 0", "Recall@10", "+1.2 %", "0.010", "0.020"]
    assert "## Hypothesis" not in table_page({**table, "hypotheses": []})


def test_one_seed_has_no_spread_and_no_baseline_no_differences(table):
    row = {**table["rows"][0], "seeds": [0]}
    row["metrics"] = {
        metric: {**value, "seed_sd": None, "best_baseline": None, "p": None}
        for metric, value in row["metrics"].items()
    }
    page = table_page({**table, "rows": [row], "failed": [], "left_out": [], "missing": []})
    for title in ("## Seed sd", "## Against", "## Failed", "## Left out", "## Missing"):
        assert title not in page


def test_the_plot_is_drawn_and_the_same_rows_give_the_same_bytes(table, tmp_path):
    draw(table["rows"], tmp_path)
    first = [(tmp_path / f"plot.{ending}").read_bytes() for ending in ("png", "svg")]
    assert first[0].startswith(b"\x89PNG")
    assert b"mine" in first[1]
    draw(table["rows"], tmp_path)
    assert first == [(tmp_path / f"plot.{ending}").read_bytes() for ending in ("png", "svg")]


def test_without_rows_there_is_no_plot(tmp_path):
    draw([], tmp_path)
    assert list(tmp_path.iterdir()) == []
