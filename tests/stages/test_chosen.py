"""What refit takes over is asked for in full before anything is made of it."""

import pytest

from cllm4rec.config import SETS
from cllm4rec.ensemble.linear import PLAIN, wrong_setting
from cllm4rec.errors import IntegrityError
from cllm4rec.linear.rows import Rows
from cllm4rec.run import RunDir
from cllm4rec.stages.chosen import Chosen
from cllm4rec.stages.initialise import Initial
from cllm4rec.stages.refit import refit
from cllm4rec.stages.settings import write_settings
from cllm4rec.start.search import CHOSEN

START = dict.fromkeys(CHOSEN, 0.5)
LINEAR = {**PLAIN, "l2": 150}
NEW_ITEMS = {**PLAIN, "k": 20, "baseline": "ease-new-items"}


def trained(tmp_path, *, start=START, linear=LINEAR, warm_start="factors", **further) -> RunDir:
    run = RunDir(tmp_path / "run").create()
    write_settings(run.file("config.toml"), SETS.changed(model={"warm_start": warm_start}))
    run.finish("prepare", [], 1.0)
    run.finish("initialise", [], 1.0, start=start, linear=linear)
    run.finish("finetune", [], 1.0, start=start, linear=linear, best_epoch=1, blend=0.5, **further)
    return run


@pytest.mark.parametrize("linear", [LINEAR, NEW_ITEMS, None])
def test_what_a_training_chose_is_taken_over(tmp_path, linear):
    assert Chosen.by(trained(tmp_path, linear=linear)) == Chosen(START, linear, 1, 0.5)


def test_weights_of_short_histories_are_taken_over_and_none_of_earlier_versions(tmp_path):
    run, points = trained(tmp_path), [[1, 0.0], [2, 0.25], [4, 0.5]]
    assert Chosen.by(run).blend_by_length is None
    chosen = Chosen.by(trained(tmp_path, blend_by_length=points))
    assert chosen.blend_by_length == points
    chosen.write(run.file("data"))
    assert Chosen.before(run) == chosen


@pytest.mark.parametrize(
    "points", [[], [[1]], [[2, 0.1], [1, 0.5]], [[1, 1.5]], [[0, 0.5]], "many", [["a", "b"]], 0.5]
)
def test_weights_of_short_histories_that_were_edited_are_named(tmp_path, points):
    run = trained(tmp_path, blend_by_length=points)
    with pytest.raises(IntegrityError, match=r"blend_by_length = .*undo the edit"):
        Chosen.by(run)


def test_a_start_of_noise_has_no_settings(tmp_path):
    assert Chosen.by(trained(tmp_path, start={}, warm_start="none")).start == {}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"start": {}}, "no power in start"),
        ({"start": START | {"power": None}}, "start.power = None"),
        ({"start": dict(list(START.items())[1:])}, "no power in start"),
        ({"linear": {}}, "no texts in linear"),
        ({"linear": PLAIN}, "no l2 in linear"),
        ({"linear": LINEAR | {"alpha": "much"}}, "alpha = 'much' in linear"),
        ({"linear": LINEAR | {"l2": True}}, "l2 = True in linear"),
        ({"linear": LINEAR | {"l2": -1}}, "l2 = -1 in linear"),
        ({"linear": LINEAR | {"windows": 1}}, "windows = 1 in linear"),
        ({"linear": NEW_ITEMS | {"decay": []}}, "decay = [] in linear"),
    ],
)
def test_what_was_edited_is_named_before_there_is_a_new_run(tmp_path, edit, said):
    run = trained(tmp_path)
    run.finish("finetune", [], 1.0, **(dict(start=START, linear=LINEAR) | edit), identity="0")
    with pytest.raises(IntegrityError) as refused:
        refit(run, RunDir(tmp_path / "to"))
    message = str(refused.value)
    assert message.startswith(f"{run.file('manifest.json')}: the record of `finetune` has ")
    assert said in message
    assert "undo the edit" in message
    assert not (tmp_path / "to").exists()


def test_a_linear_model_that_was_edited_is_no_start(tmp_path):
    with pytest.raises(IntegrityError, match=r"of `initialise` has no texts in linear; undo the"):
        Initial.read(trained(tmp_path, linear={}))


def test_every_setting_of_a_linear_model_is_looked_at():
    assert wrong_setting(LINEAR) is None
    for name in LINEAR:
        without = {key: LINEAR[key] for key in LINEAR if key != name}
        # Those of the rows came later than runs that can still be read.
        assert wrong_setting(without) == (None if name in Rows._fields else name)
