from pathlib import Path

import pytest

from cllm4rec.config import resolve
from cllm4rec.errors import ConfigError, InputError
from cllm4rec.experiments.plan import load_plan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "split.parquet").touch()
    (tmp_path / "mine.toml").write_text("[finetune]\nepochs = 9\n")
    return tmp_path


def plan_of(folder: Path, text: str):
    (folder / "plan.toml").write_text(text, encoding="utf-8")
    return load_plan(folder / "plan.toml")


DATA = '[datasets.a]\ndata = "in"\n'
POP = 'baselines = ["popularity"]\n'


def test_paths_are_relative_to_the_plan(folder, monkeypatch):
    monkeypatch.chdir("/")
    plan = plan_of(
        folder,
        POP + '[datasets.a]\ndata = "in"\nsplit = "split.parquet"\n[models.m]\nconfig="mine.toml"',
    )
    assert plan.datasets["a"].data == str((folder / "in").resolve())
    assert plan.datasets["a"].split == str((folder / "split.parquet").resolve())
    assert plan.model_request("a", "m", 0).changes["finetune"] == {"epochs": 9}


def test_the_files_of_data_sets_that_are_not_computed_need_not_be_there(folder):
    text = POP + DATA + '[datasets.b]\ndata = "elsewhere"\nsplit = "none.parquet"\n'
    with pytest.raises(InputError, match=r"datasets\.b\.data = 'elsewhere': nothing at"):
        plan_of(folder, text)
    plan = load_plan(folder / "plan.toml", ["a"])
    assert plan.datasets["b"].data == str((folder / "elsewhere").resolve())
    with pytest.raises(InputError, match=r"datasets\.b\.data"):
        load_plan(folder / "plan.toml", ["a", "b"])


def test_a_known_source_needs_no_folder(folder):
    plan = plan_of(folder, POP + '[datasets.a]\ndata = "movielens-100k"')
    assert plan.datasets["a"].data == "movielens-100k"
    assert plan.datasets["a"].splitting == "paper"


def test_a_models_settings_lie_over_the_data_sets_and_the_seed_over_all(folder):
    text = DATA + 'set = ["seed=7", "backbone.depth=3", "corpus.max_items=9"]\n'
    plan = plan_of(folder, text + '[models.m]\nconfig = "paper"\nset = ["backbone.depth=1"]')
    config = resolve(plan.model_request("a", "m", 5), newest_held_out=True)
    assert (config.backbone.depth, config.corpus.max_items, config.seed) == (1, 9, 5)
    assert config.model.warm_start == "none", "that of the paper"
    assert plan.data_config("a").seed == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "plan.toml is not TOML"),
        ("seeds = [" + 5_000 * "1" + "]", "plan.toml is not TOML: Exceeds the limit"),
        (POP, "datasets: Field required"),
        (DATA, "neither a model nor a baseline"),
        (POP + "baseline_settings.ease.l2 = 3\n" + DATA, "keyword argument 'l2'; its settings: n"),
        (
            POP + DATA + '[[hypotheses]]\nbetter = "popularity"\nthan = "eaze"',
            "a hypothesis names 'eaze', which is no row of the plan",
        ),
        (
            POP
            + DATA
            + '[[hypotheses]]\nbetter = "popularity · linear model"\nthan = "popularity"',
            "names 'popularity · linear model', which is no row",
        ),
        (
            DATA + '[models.m]\n[[hypotheses]]\nbetter = "m"\nthan = "m · liner model"',
            "names 'm · liner model', which is no row",
        ),
        (
            POP + DATA + '[[hypotheses]]\nbetter = "popularity"\nthan = "popularity"',
            "'popularity' cannot be better than itself",
        ),
        (
            'baselines = ["popularity", "ease"]\n'
            + DATA
            + '[[hypotheses]]\nbetter = "ease"\nthan = "popularity"\ndatasets = ["b"]',
            "a hypothesis names 'b', no data set of the plan",
        ),
        (POP + "[datasets]", "datasets = {}: Dictionary should have at least 1 item"),
        (POP + DATA + "[modles.m]", "no key modles: did you mean models?"),
        (POP + DATA + "splitt = 'x'", "no key datasets.a.splitt: did you mean split?"),
        (POP + DATA + "[models.m]\nx = 1", "no key models.m.x: there are set, config"),
        (POP + DATA + "protocol = 'x'", "datasets.a.protocol = 'x': Input should be 'paper'"),
        (
            POP + DATA + "protocol = 'paper'\nsplit = 'split.parquet'",
            "datasets.a: split and protocol exclude each other",
        ),
        (POP + DATA + "split = 'none'", "datasets.a.split = 'none': no file at"),
        (POP + "[datasets.a]\ndata='no'", "data = 'no': nothing at"),
        (POP + "[datasets.a]\ndata='no'", "nor is it one of movielens-100k"),
        (POP + "[datasets.'a/b']\ndata='in'", "datasets.a/b = 'a/b': String should match"),
        (POP + "[datasets.'..']\ndata='in'", "String should match"),
        (POP + "seeds = []\n" + DATA, "seeds = []: List should have at least 1 item"),
        (POP + "seeds = [true]\n" + DATA, "seeds: neither true nor false can stand in this list"),
        (POP + 'refit = "yes"\n' + DATA, "refit = 'yes': Input should be a valid boolean"),
        (POP + "refit = 1\n" + DATA, "refit = 1: Input should be a valid boolean"),
        (POP + 'keep_runs = "yes"\n' + DATA, "keep_runs = 'yes': Input should be a valid boolean"),
        (POP + "seeds = [1, 1]\n" + DATA, "seed 1 is given twice"),
        (POP + "seeds = [-1]\n" + DATA, "seeds.0 = -1: Input should be greater"),
        ('baselines = ["x"]\n' + DATA, "baselines: no baseline 'x'; there are popularity"),
        (POP + DATA + "[models.popularity]", "'popularity' is a model and a baseline"),
        (POP + DATA + "[models.m]\nset=['seed=1']", "'seed=1' is no matter of a model: `seeds`"),
        (POP + DATA + "[models.m]\nset=['data.x=1']", "`set` of [datasets.NAME]"),
        (POP + DATA + "[models.m]\nset=['finetune.epoch=1']", "models.m: no setting finetune.epo"),
        (POP + DATA + "set=['data.columns=1']", "datasets.a: setting data.columns"),
        (POP + DATA + "[models.m]\nconfig='no.toml'", "models.m.config = 'no.toml': no file at"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, text, message):
    with pytest.raises(InputError) as error:
        plan_of(folder, text)
    assert message in str(error.value)
    assert str(folder / "plan.toml") in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_plan_is_said(folder):
    with pytest.raises(InputError, match=r"no plan at .*none\.toml"):
        load_plan(folder / "none.toml")


@pytest.mark.parametrize("name", ["quality", "ablation"])
def test_the_plans_that_are_shipped_can_be_read(name, shared_data):
    try:
        plan = load_plan(ROOT / "benchmarks" / f"{name}.toml")
    except ConfigError as error:
        pytest.fail(str(error))
    assert plan.seeds == [0, 1, 2]
