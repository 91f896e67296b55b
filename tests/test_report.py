"""The report page: what the run's files say, in one file that needs nothing else."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import IntegrityError
from cllm4rec.report import write_report
from cllm4rec.report.curves import MAX_POINTS, loss_curves, running_mean, validation_curves
from cllm4rec.run import RunDir, write_json

UNSAFE = '<script>alert("x")</script>&'


class Page(HTMLParser):
    """Tags, attributes and text of a page; refuses a tag that is closed out of order."""

    VOID = frozenset({"meta", "link", "br", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if not self._open or self._open[-1] != "style":
            self.words += data.split()

    def __contains__(self, text: str) -> bool:
        return text in " ".join(self.words)


def score(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.0125, "high": mean + 0.0125}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run & more").create()
    for step in range(1, 4):
        run.log_metrics(stage="pretrain", part="content", step=step, loss=5.0 / step)
        run.log_metrics(stage="finetune", step=step, epoch=1, loss=7.0 - step)
    for epoch, value in enumerate([0.1, 0.3, 0.2]):
        run.log_metrics(stage="finetune", epoch=epoch, valid={"recall@20": value, "mrr": value})
    row = {"settings": {}, "metrics": {"recall@20": score(0.34567)}, "coverage@20": 0.5}
    rows = [
        {"model": "CLLM4Rec", **row, "users": 1938},
        {"model": UNSAFE, **row, "settings": {"l2": 300}, "metrics": {"recall@20": score(0.25)}},
    ]
    write_json(
        run.file("results.json"),
        {"part": "test", "made_by": "preset paper-small", "rows": rows, "verdict": "a & b"},
    )
    report = {
        "kept": {"users": 12345},
        "refused": {"interactions": {"null user_id": 17}, "reviews": {}},
    }
    write_json(run.file("data", "report.json"), report)
    run.file("config.toml").write_text(f"name = '{UNSAFE}'\n")
    run.finish("prepare", [run.file("data")], 2.0)
    run.finish("finetune", [], 61.0, best_epoch=1)
    return run


@pytest.fixture
def page(run: RunDir) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_the_page_stands_alone(run):
    text = write_report(run).read_text(encoding="utf-8")
    assert write_report(run) == run.file("report.html")
    tags = Page(text).tags
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _attributes in tags}
    for _tag, attributes in tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }, "names of XML vocabularies, which nothing fetches"


def test_numbers_are_those_of_the_results(page):
    assert "CLLM4Rec 0.3457 0.333 – 0.358 0.5000" in page  # noqa: RUF001
    assert "l2 300 0.2500 0.237 – 0.263 0.5000" in page or "0.238 – 0.263" in page  # noqa: RUF001
    assert "1,938 users" in page
    assert "a & b." in page
    assert "model recall@20 coverage@20" in page


def test_the_preset_is_named(page):
    assert "Our own rows: preset paper-small." in page


def test_data_refusals_settings_and_times_are_shown(page):
    assert "kept · users 12,345" in page
    assert "interactions null user_id 17" in page
    assert "prepare 2 s · finetune 61 s" in page
    assert "run & more" in page


def test_nothing_of_the_users_becomes_markup(page):
    assert UNSAFE in page, "it is shown as it is"
    assert f"name = '{UNSAFE}'" in page


def test_every_curve_is_drawn(page):
    captions = {
        *("Loss: pretrain · content", "Loss: finetune", "Validation recall@20"),
        "recall@20 with its 95 % interval",
    }
    drawn = {attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"}
    assert drawn == captions
    assert "kept: epoch 1" in page


def test_drawings_are_whole_and_their_names_differ(run):
    text = write_report(run).read_text(encoding="utf-8")
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 4
    names = [
        part.attrib["id"]
        for drawing in drawings
        for part in ElementTree.fromstring(drawing).iter()
        if "id" in part.attrib
    ]
    assert len(names) == len(set(names))
    for drawing in drawings:
        assert set(re.findall(r"(?:url\(|href=\")#([\w-]+)", drawing)) <= set(names)
        assert not re.search(r"#0101\d\d", drawing), "every stand-in colour is exchanged"
        assert "var(--ac" in drawing


def test_the_same_run_gives_the_same_bytes(run):
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_a_run_without_anything_has_a_page_without_sections(tmp_path):
    page = Page(write_report(RunDir(tmp_path).create()).read_text())
    assert "h2" not in {tag for tag, _attributes in page.tags}


def test_no_refused_row_is_said_so(run):
    write_json(run.file("data", "report.json"), {"refused": {"interactions": {}}})
    assert "Refused rows None." in Page(write_report(run).read_text())


def test_damaged_results_are_named(run):
    run.file("results.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"results\.json is not JSON"):
        write_report(run)


class TestCurves:
    def test_stages_and_parts_are_apart(self):
        rows = [
            {"stage": "pretrain", "part": "content", "step": 1, "loss": 4.0},
            {"stage": "pretrain", "part": "collaborative", "step": 1, "loss": 3.0},
            {"stage": "finetune", "part": "finetune", "step": 1, "loss": 2.0},
            {"stage": "finetune", "epoch": 1, "valid": {"mrr": 0.5}},
        ]
        assert [(curve.name, list(curve.y)) for curve in loss_curves(rows)] == [
            ("pretrain · content", [4.0]),
            ("pretrain · collaborative", [3.0]),
            ("finetune", [2.0]),
        ]

    def test_steps_repeated_by_a_resumed_run_count_once_and_passes_follow_each_other(self):
        steps = [(0, 1, 9.0), (0, 2, 8.0), (0, 2, 7.0), (1, 1, 6.0)]
        rows = [{"stage": "finetune", "pass": p, "step": s, "loss": y} for p, s, y in steps]
        (curve,) = loss_curves(rows)
        assert list(curve.x) == [1, 2, 3]
        assert list(curve.y) == [9, 7, 6]

    def test_long_lines_are_averaged_and_keep_their_mean(self):
        losses = np.random.default_rng(0).random(8 * MAX_POINTS)
        rows = [{"stage": "s", "step": i, "loss": float(y)} for i, y in enumerate(losses)]
        (curve,) = loss_curves(json.loads(json.dumps(rows)))
        assert len(curve.x) == len(curve.y) == MAX_POINTS
        assert curve.y.mean() == pytest.approx(losses.mean())
        assert curve.y[0] == pytest.approx(losses[:8].mean())
        assert curve.x[0] == 4.5

    def test_validation_is_ordered_by_epoch_and_the_last_line_counts(self):
        rows = [{"epoch": e, "valid": {"mrr": y}} for e, y in [(2, 0.2), (0, 0.1), (2, 0.4)]]
        (curve,) = validation_curves(rows)
        assert (curve.name, list(curve.x), list(curve.y)) == ("mrr", [0, 2], [0.1, 0.4])

    def test_a_row_of_no_epoch_is_left_out(self):
        rows = [{"valid": {"mrr": 0.9}}, {"epoch": None, "valid": {"mrr": 0.8}}]
        assert validation_curves(rows) == []
        (curve,) = validation_curves([*rows, {"epoch": 1, "valid": {"mrr": 0.1}}])
        assert (list(curve.x), list(curve.y)) == ([1], [0.1])

    @given(st.lists(st.floats(-1e3, 1e3), min_size=1), st.integers(0, 9))
    def test_running_mean_is_the_mean_of_the_neighbours(self, values, reach):
        slow = [
            np.mean(values[max(0, place - reach) : place + reach + 1])
            for place in range(len(values))
        ]
        np.testing.assert_allclose(running_mean(np.array(values), reach), slow, atol=1e-9)
