"""What the data decide of the settings, and what they leave alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import PAPER, Config, for_data, load_config
from cllm4rec.profiles import SEQUENCES

GIVEN = {
    "backbone.mode=lora": ("backbone", "mode", "lora"),
    "model.skip_decay=0.5": ("model", "skip_decay", 0.5),
    "pretrain.enabled=true": ("pretrain", "enabled", True),
    "finetune.target=holdout": ("finetune", "target", "holdout"),
    "finetune.dropout=0.0": ("finetune", "dropout", 0.0),
    "finetune.user_token_dropout=0.2": ("finetune", "user_token_dropout", 0.2),
}
"""Overrides of values of the profile, some of them the very defaults."""


def flat(settings: dict) -> dict[tuple[str, str], object]:
    return {
        (section, key): value
        for section, values in settings.items()
        if isinstance(values, dict)
        for key, value in values.items()
    }


def changed(config: Config, since: Config) -> dict[tuple[str, str], object]:
    before = flat(since.model_dump())
    return {key: v for key, v in flat(config.model_dump()).items() if before[key] != v}


def test_the_default_is_left_to_the_data():
    assert Config().corpus.order == "auto"


def test_where_the_newest_are_held_out_the_profile_of_sequences_is_taken_and_nothing_else():
    found = changed(for_data(Config(), newest_held_out=True), Config())
    differing = {
        key: v for key, v in flat(SEQUENCES).items() if flat(Config().model_dump())[key] != v
    }
    assert found == differing
    assert found["corpus", "order"] == "time"
    assert found["finetune", "target"] == "next"


def test_elsewhere_the_order_is_random_and_nothing_else_changes():
    found = changed(for_data(Config(), newest_held_out=False), Config())
    assert found == {("corpus", "order"): "random"}


@given(st.sets(st.sampled_from(sorted(GIVEN))), st.booleans())
def test_what_is_given_wins_over_the_profile(overrides, newest):
    config = for_data(load_config(None, sorted(overrides)), newest_held_out=newest)
    for override in overrides:
        section, key, value = GIVEN[override]
        assert getattr(getattr(config, section), key) == value
    for section, key in flat(SEQUENCES).keys() - {GIVEN[o][:2] for o in overrides}:
        default = getattr(getattr(Config(corpus={"order": "random"}), section), key)
        wanted = SEQUENCES[section][key] if newest else default
        assert getattr(getattr(config, section), key) == wanted


@given(st.sampled_from(["auto", "random", "time"]), st.booleans())
def test_no_auto_is_left_and_deciding_again_changes_nothing(order, newest):
    settled = for_data(load_config(None, [f"corpus.order={order}"]), newest_held_out=newest)
    assert settled.corpus.order != "auto"
    for again in (True, False):
        assert for_data(settled, newest_held_out=again) == settled


@pytest.mark.parametrize("order", ["random", "time"])
@pytest.mark.parametrize("newest", [True, False])
def test_an_order_that_is_given_leaves_everything_alone(order, newest):
    config = load_config(None, [f"corpus.order={order}", "finetune.epochs=3"])
    assert for_data(config, newest_held_out=newest) == config


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("overrides", [[], ["finetune.epochs=3"]])
def test_the_papers_method_is_the_papers_whatever_the_data(newest, overrides):
    config = load_config("paper", overrides)
    assert for_data(config, newest_held_out=newest) == config
    assert config.corpus.order == "random"
    assert config.finetune.target == "holdout"
    assert config.finetune.dropout == 0
    assert config.model.skip_decay == 1


def test_a_profile_is_never_changed_by_its_use():
    for profile, name in ((SEQUENCES, None), (PAPER, "paper")):
        before = repr(profile)
        config = load_config(name, ["finetune.epochs=99"])
        for_data(config, newest_held_out=True)
        assert repr(profile) == before
