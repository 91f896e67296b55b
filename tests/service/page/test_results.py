"""Figures without inline styles, and a table that follows the run's files."""

import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest

from cllm4rec.report.curves import Curve
from cllm4rec.report.figures import interval_figure, loss_figure
from cllm4rec.run import RunDir
from cllm4rec.service.page.results import Results, inline

CURVE = Curve("a < b & 'c'", np.arange(5.0), np.arange(5.0))


@pytest.mark.parametrize(
    "figure",
    [loss_figure(CURVE), interval_figure("m", [("<i>", {"mean": 1.0, "low": 0.5, "high": 2.0})])],
    ids=["loss", "interval"],
)
def test_figures_say_the_same_without_styles(figure):
    shown = str(inline(figure))
    assert "style" not in shown
    assert "var(--accent)" in shown
    before, after = (ElementTree.fromstring(re.sub(r"xlink:", "", f)) for f in (figure, shown))
    drawn = [(e.tag, e.get("d"), (e.text or "").strip()) for e in before.iter() if not _is_style(e)]
    assert [(e.tag, e.get("d"), (e.text or "").strip()) for e in after.iter()] == drawn
    strokes = sum("stroke:" in (e.get("style") or "") for e in before.iter())
    assert sum(e.get("stroke") is not None for e in after.iter()) == strokes


def test_letters_keep_their_size():
    found = re.search(r"<text[^>]*>", str(inline(loss_figure(CURVE))))
    assert found is not None
    assert 'font-size="10px"' in found[0]


def test_words_that_are_html_stay_escaped():
    assert "a &lt; b &amp; &#x27;c&#x27;" in str(inline(loss_figure(CURVE)))


def test_the_page_is_made_anew_when_the_run_is_evaluated_again(page_run, tmp_path):
    run = RunDir(tmp_path / "run")
    shutil.copytree(page_run.path, run.path)
    results = Results(run)
    first = results.values()
    assert results.values() is first
    text = run.file("results.json").read_text()
    run.file("results.json").write_text(text.replace('"popularity"', '"fame"'))
    assert [row["model"] for row in results.values()["table"]["rows"]][-2] == "fame"


def test_results_of_an_earlier_training_are_not_shown(page_run, tmp_path):
    run = RunDir(shutil.copytree(page_run.path, tmp_path / "run"))
    results = Results(run)
    assert results.values()["table"] is not None
    run.forget("evaluate")  # as a training that has ended does
    assert results.values()["table"] is None


def test_the_best_of_every_column_is_marked(page_run):
    table = Results(page_run).values()["table"]
    for place in range(len(table["metrics"])):
        cells = [row["cells"][place] for row in table["rows"] if row["cells"][place]]
        best = max(float(cell["mean"]) for cell in cells)
        assert {float(cell["mean"]) for cell in cells if cell["best"]} == {best}


def test_a_folder_without_results_has_none(tmp_path):
    expected = {"table": None, "curves": [], "measurable": True}
    assert Results(RunDir(tmp_path)).values() == expected


def _is_style(element: ElementTree.Element) -> bool:
    return element.tag.endswith("style")
