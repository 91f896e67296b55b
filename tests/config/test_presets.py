"""What the data decide of the settings, and what they leave alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import Config, for_data, load_config
from cllm4rec.config.presets import PAPER, SEQUENCES, SETS
from cllm4rec.errors import ConfigError

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


@pytest.mark.parametrize(("newest", "profile"), [(True, SEQUENCES), (False, SETS)])
def test_the_profile_of_the_data_is_taken_and_nothing_else(newest, profile):
    found = changed(for_data(Config(), newest_held_out=newest), Config())
    before = flat(Config().model_dump())
    assert found == {key: v for key, v in flat(profile).items() if before[key] != v}
    assert found["corpus", "order"] == ("time" if newest else "random")


def test_only_an_order_has_a_next_item():
    assert for_data(Config(), newest_held_out=True).finetune.target == "next"
    assert for_data(Config(), newest_held_out=False).finetune.target == "holdout"
    with pytest.raises(ConfigError, match=r"has no next; set corpus\.order=time"):
        load_config(None, ["finetune.target=next", "corpus.order=random"])


@given(st.sets(st.sampled_from(sorted(GIVEN))), st.booleans())
def test_what_is_given_wins_over_the_profile(overrides, newest):
    config = for_data(load_config(None, sorted(overrides)), newest_held_out=newest)
    for override in overrides:
        section, key, value = GIVEN[override]
        assert getattr(getattr(config, section), key) == value
    profile = flat(SEQUENCES if newest else SETS)
    for section, key in profile.keys() - {GIVEN[o][:2] for o in overrides}:
        assert getattr(getattr(config, section), key) == profile[section, key]


@given(st.sampled_from(["auto", "random", "time"]), st.booleans())
def test_no_auto_is_left_and_deciding_again_changes_nothing(order, newest):
    settled = for_data(load_config(None, [f"corpus.order={order}"]), newest_held_out=newest)
    assert settled.corpus.order != "auto"
    for again in (True, False):
        assert for_data(settled, newest_held_out=again) == settled


@pytest.mark.parametrize("newest", [True, False])
def test_an_order_that_is_given_is_one_setting_like_any_other(newest):
    decided = for_data(Config(), newest_held_out=newest)
    given = load_config(None, [f"corpus.order={decided.corpus.order}"])
    assert for_data(given, newest_held_out=newest) == decided
    in_time = for_data(load_config(None, ["corpus.order=time"]), newest_held_out=False)
    sets = for_data(Config(), newest_held_out=False)
    assert changed(in_time, sets) == {("corpus", "order"): "time"}


def test_histories_in_random_order_are_sets_whatever_is_held_out():
    random = load_config(None, ["corpus.order=random"])
    assert for_data(random, newest_held_out=True) == for_data(Config(), newest_held_out=False)


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
    for profile, name in ((SEQUENCES, None), (SETS, None), (PAPER, "paper")):
        before = repr(profile)
        config = load_config(name, ["finetune.epochs=99"])
        for newest in (True, False):
            for_data(config, newest_held_out=newest)
        assert repr(profile) == before


def test_what_does_not_go_with_the_profile_is_an_error_in_one_line():
    given = load_config(None, ["finetune.target=next"])
    with pytest.raises(ConfigError, match=r"has no next; set corpus\.order=time"):
        for_data(given, newest_held_out=False)
