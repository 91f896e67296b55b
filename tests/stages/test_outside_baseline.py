"""A baseline of another package in the results table of a run, and in a bench."""

import pytest

from cllm4rec import progress
from cllm4rec.config import Config, read_config
from cllm4rec.errors import ConfigError
from cllm4rec.experiments.cells import cells_of
from cllm4rec.experiments.data import prepare_data
from cllm4rec.experiments.plan import load_plan
from cllm4rec.experiments.process import Outcome, compute_in_subprocess
from cllm4rec.run import RunDir, read_json
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.settings import keep_settings
from support.outside import install
from support.toy_bench import write_toy_plan
from support.trained import small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone) -> RunDir:
    return small_run(tmp_path_factory, backbone)


@pytest.fixture(autouse=True)
def _damped(tmp_path, monkeypatch):
    install(tmp_path / "packages", "damped", "outside_damped", "outside_damped:Damped")
    monkeypatch.syspath_prepend(tmp_path / "packages")


def set_up(run: RunDir, settings: dict) -> None:
    """Name the baseline in the settings of a trained run, as ``prepare --set`` does."""
    source = run.path.parent / "source"
    config = settings_of(run, settings)
    prepare(source, run, split=source / "split.parquet", protocol="paper", config=config)


def settings_of(run: RunDir, settings: dict) -> Config:
    chosen = {"baselines": ["popularity", "damped"], "baseline_settings": {"damped": settings}}
    return read_config(run.file("config.toml")).changed(evaluate=chosen)


def test_it_stands_in_the_table_with_the_settings_that_did_best(run):
    with progress.quiet():
        set_up(run, {"powers": [0.5, 1.0]})
        results = evaluate(run)
    rows = {row["model"]: row for row in results["rows"]}
    assert rows["damped"]["settings"] == {"power": 0.5}, "of equal ones the first"
    assert rows["damped"]["metrics"] == rows["popularity"]["metrics"], "the order is the same"
    assert "damped" in run.file("report.html").read_text(encoding="utf-8")


def test_a_setting_it_does_not_take_is_said_before_anything_is_fitted(run, monkeypatch):
    monkeypatch.setattr("cllm4rec.stages.evaluate.tune", lambda *_: pytest.fail("fitted"))
    wrong = {"power": 1}
    with progress.quiet():
        with pytest.raises(ConfigError, match=r"baseline_settings\.damped: .*'power'"):
            set_up(run, wrong)
        keep_settings(run, settings_of(run, wrong))  # written by hand
        with pytest.raises(ConfigError, match=r"baseline_settings\.damped: .*'power'"):
            evaluate(run)


def test_in_a_bench(tmp_path, backbone):
    path = write_toy_plan(tmp_path, backbone)
    chosen = path.read_text().replace('"ease"', '"damped"').replace("[models.tiny]", "[models.t]")
    path.write_text(chosen + "[baseline_settings.damped]\npowers = [0.5]\n")
    plan = load_plan(path)
    with progress.quiet():
        data = prepare_data(plan, "planted", tmp_path / "out")
        (cell,) = (
            each for each in cells_of(plan, data, tmp_path / "out") if each.model == "damped"
        )
        assert compute_in_subprocess(cell) == Outcome("done")
    record = read_json(cell.folder / "cell.json")
    assert record["chosen"] == {"power": 0.5}
    assert record["settings"]["given"] == {"powers": [0.5]}
