"""Presets are complete values; a request and the data decide one configuration, once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import (
    PAPER,
    PRESETS,
    SEQUENCES,
    SETS,
    Config,
    Request,
    backbone_in_force,
    read_config,
    reported_measures,
    request_of,
    resolve,
    to_toml,
)
from cllm4rec.errors import ConfigError
from support.strategies import configs

GIVEN = {
    "backbone.mode=lora": ("backbone", "mode", "lora"),
    "model.skip_decay=0.5": ("model", "skip_decay", 0.5),
    "pretrain.enabled=true": ("pretrain", "enabled", True),
    "finetune.target=holdout": ("finetune", "target", "holdout"),
    "finetune.dropout=0.0": ("finetune", "dropout", 0.0),
    "finetune.user_token_dropout=0.2": ("finetune", "user_token_dropout", 0.2),
}
"""Overrides of values of the presets."""


def decided(given: Any = None, *overrides: str, newest: bool = False) -> Config:
    return resolve(request_of(given, overrides), newest_held_out=newest)


@given(configs(), st.booleans())
def test_a_configuration_written_and_read_is_the_same_whatever_the_data(
    tmp_path_factory, config, newest
):
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert read_config(path) == config
    assert decided(path, newest=newest) == config
    assert decided(config, newest=newest) == config


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("newest", [True, False])
def test_a_preset_that_is_named_is_what_runs(name, newest):
    selection = {"selection": reported_measures(newest_held_out=newest)}
    assert decided(name, newest=newest) == PRESETS[name].changed(evaluate=selection)
    assert PRESETS[name].preset == name


@pytest.mark.parametrize("newest", [True, False])
def test_where_new_items_are_held_out_what_is_reported_of_them_selects(newest):
    config = resolve(request_of(None), newest_held_out=newest, new_items=True)
    assert config == decided(newest=newest).changed(evaluate={"selection": ["recall@20"]})
    given = request_of(None, ["evaluate.selection=['ndcg@10']"])
    chosen = resolve(given, newest_held_out=newest, new_items=True).evaluate.selection
    assert chosen == ["ndcg@10"]


@pytest.mark.parametrize(("newest", "preset"), [(True, SEQUENCES), (False, SETS)])
def test_auto_is_decided_by_the_data(newest, preset):
    assert decided(newest=newest) == decided("auto", newest=newest) == preset


@given(st.sets(st.sampled_from(sorted(GIVEN))), st.booleans())
def test_what_is_given_wins_and_nothing_else_changes(overrides, newest):
    config = decided(None, *sorted(overrides), newest=newest)
    wanted: dict[str, Any] = {}
    for section, key, value in (GIVEN[override] for override in overrides):
        wanted.setdefault(section, {})[key] = value
    assert config == (SEQUENCES if newest else SETS).changed(**wanted)


def test_a_random_order_chooses_sets_and_any_other_order_is_one_setting_like_others():
    newest = {"selection": reported_measures(newest_held_out=True)}
    assert decided(None, "corpus.order=random", newest=True) == SETS.changed(evaluate=newest)
    assert decided(None, "corpus.order=random", newest=False) == SETS
    assert decided(None, "corpus.order=time", newest=True) == SEQUENCES
    assert decided(None, "corpus.order=time") == SETS.changed(corpus={"order": "time"})


def test_the_measures_that_select_are_those_reported_of_the_data_unless_they_are_given():
    for preset in (None, "sets", "sequences", "paper"):
        of_sets, of_newest = (decided(preset, newest=newest).evaluate for newest in (False, True))
        assert of_sets.selection == ["recall@20", "recall@40", "ndcg@100"]
        assert of_newest.selection == ["recall@10", "ndcg@10"]
        given = decided(preset, 'evaluate.selection=["mrr"]', newest=True)
        assert given.evaluate.selection == ["mrr"]
    with pytest.raises(ConfigError, match=r"evaluate\.selection"):
        decided(None, "evaluate.selection=[]")
    for wrong in ('["recall@21"]', '["mrr", "mrr"]'):
        with pytest.raises(ConfigError, match=r"evaluate\.selection"):
            decided(None, f"evaluate.selection={wrong}")


def test_only_an_order_has_a_next_item():
    with pytest.raises(ConfigError, match=r"has no next; set corpus\.order=time"):
        request_of(None, ["finetune.target=next", "corpus.order=random"])
    given = request_of(None, ["finetune.target=next"])  # data may suit it, and these do not
    assert resolve(given, newest_held_out=True) == SEQUENCES
    with pytest.raises(ConfigError, match=r"has no next; set corpus\.order=time"):
        resolve(given, newest_held_out=False)


def test_words_go_both_ways_in_pretraining_alone():
    given = ["corpus.words=both-ways"]
    with pytest.raises(ConfigError, match=r"pretraining, which is off; set pretrain\.enabled=true"):
        decided("sets", *given)
    assert decided("sets", "pretrain.enabled=true", *given).corpus.words == "both-ways"


def test_changes_come_on_top_of_a_complete_configuration_and_another_preset_replaces_it():
    mine = SEQUENCES.changed(seed=4, finetune={"epochs": 7})
    assert decided(mine, "threads=2") == mine.changed(threads=2)
    assert decided(mine, "preset=paper") == PAPER
    assert mine.finetune.epochs == 7


class TestWeights:
    """A preset's random weights are for its own backbone and depth."""

    def test_those_of_the_default_backbone_at_the_default_depth(self):
        assert decided().backbone.weights == "random"
        assert decided(None, "backbone.mode=lora").backbone.weights == "random"

    @pytest.mark.parametrize("given", ["name=gpt2", "name=smollm2-135m", "depth=1", "depth=all"])
    @pytest.mark.parametrize("preset", [None, "sets", SETS])
    def test_a_backbone_or_depth_that_is_given_keeps_its_own(self, preset, given):
        assert decided(preset, f"backbone.{given}").backbone.weights == "pretrained"

    def test_a_file_that_names_a_backbone_keeps_its_own(self, tmp_path):
        (tmp_path / "c.toml").write_text('preset = "sets"\n[backbone]\nname = "gpt2"\n')
        assert decided(tmp_path / "c.toml").backbone.weights == "pretrained"

    def test_what_is_given_is_obeyed(self):
        given = ["backbone.name=gpt2", "backbone.weights=random"]
        config = decided(None, *given)
        assert config.backbone.weights == "random"
        assert decided(config, "backbone.depth=3").backbone.weights == "random"

    def test_which_is_in_force_is_said_with_the_reason(self):
        named = decided(None, "backbone.name=gpt2")
        random = decided(None, "backbone.name=gpt2", "backbone.weights=random")
        all_layers = decided("paper")
        assert [backbone_in_force(c) for c in (SETS, named, random, all_layers)] == [
            "backbone smollm2-135m, first 2 layers, random weights: the preset 'sets' takes them "
            "for this backbone and depth",
            "backbone gpt2, first 2 layers, pretrained weights, not the random ones of preset "
            "'sets': backbone.name, .depth or .weights was given",
            "backbone gpt2, first 2 layers, random weights, as given in backbone.weights",
            "backbone openai-community/gpt2, all layers, pretrained weights",
        ]


def test_a_request_is_left_as_it_was_given():
    changes = {"preset": "paper", "finetune": {"epochs": 3}}
    request = request_of(changes, ["finetune.patience=2"])
    assert changes == {"preset": "paper", "finetune": {"epochs": 3}}
    assert request == Request("paper", {"finetune": {"epochs": 3, "patience": 2}})
    assert decided(request, "finetune.epochs=4").finetune.epochs == 4
    assert request.changes["finetune"]["epochs"] == 3
