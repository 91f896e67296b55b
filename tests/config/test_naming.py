"""A row is named after what made it."""

import pytest

from cllm4rec.config import PAPER, PRESETS, SEQUENCES, SETS
from cllm4rec.config.naming import (
    chosen_line,
    chosen_note,
    is_papers_method,
    language_half,
    made_by,
    model_name,
    row_label,
)


def test_the_defaults_are_hybrids_of_a_language_model_and_a_linear_one():
    for config in (SETS, SEQUENCES):
        assert (model_name(config), language_half(config)) == ("hybrid", "language model")
        assert model_name(config.changed(model={"linear": False})) == "language model"


def test_only_the_papers_method_has_its_name():
    assert model_name(PAPER) == "cllm4rec"
    assert (
        model_name(PAPER.changed(model={"linear": True}))
        == "cllm4rec (paper, changed) + linear model"
    )
    others = [
        PAPER.changed(pretrain={"enabled": False}),
        PAPER.changed(model={"content": False}),
        PAPER.changed(finetune={"user_token_dropout": 1.0}),
    ]
    for config in others:
        assert not is_papers_method(config)
        assert model_name(config) == "language model"


def test_other_settings_of_the_same_method_carry_their_presets_name():
    trained = {"pretrain": {"enabled": True}, "finetune": {"user_token_dropout": 0.5}}
    assert (
        model_name(SETS.changed(model={"linear": False}, **trained)) == "cllm4rec (sets, changed)"
    )
    assert language_half(SETS.changed(**trained)) == "cllm4rec (sets, changed)"


@pytest.mark.parametrize(
    ("epoch", "blend", "linear", "note"),
    [
        (3, 0.5, True, ""),
        (0, 0.5, True, "untrained start"),
        (3, 1.0, True, "linear model alone"),
        (0, 1.0, True, "linear model alone"),
        (0, 0.0, True, "untrained start, language model alone"),
        (3, 0.0, False, ""),
        (0, 0.0, False, "untrained start"),
    ],
)
def test_what_validation_chose_is_said(epoch, blend, linear, note):
    assert chosen_note(epoch, blend, linear=linear) == note
    label = row_label({"model": "hybrid", "note": note})
    assert label == (f"hybrid ({note})" if note else "hybrid")


@pytest.mark.parametrize("name", PRESETS)
def test_one_line_says_preset_backbone_layers_and_what_was_pretrained(name):
    line = made_by(PRESETS[name])
    assert line.startswith(f"preset {name}; backbone ")
    assert "\n" not in line
    assert made_by(SETS) == (
        "preset sets; backbone SmolLM2-135M-Instruct (4-bit file, de-quantised), first 2 layers, "
        "word embeddings pretrained, transformer weights random, trained: full"
    )
    assert ", first layer, " in made_by(SETS.changed(backbone={"depth": 1}))


@pytest.mark.parametrize(
    ("epoch", "blend", "linear", "line"),
    [
        (3, 0.25, True, "the language model of epoch 3 of 9; blend weight 0.25 is the linear"),
        (0, 0.25, True, "the untrained start: none of 9 epochs of training was better; blend"),
        (3, 1.0, True, "the linear model alone: no share of the language model was better"),
        (3, 0.0, True, "the language model of epoch 3 of 9; the linear model has no share"),
        (3, 0.0, False, "the language model of epoch 3 of 9"),
        (0, 0.0, False, "the untrained start: none of 9 epochs of training was better"),
    ],
)
def test_it_is_said_in_a_sentence(epoch, blend, linear, line):
    assert chosen_line(epoch, 9, blend, linear=linear).startswith(line)


def test_of_a_start_that_another_run_chose_no_epochs_are_compared():
    line = chosen_line(0, 0, 0.25, linear=True)
    assert line.startswith("the untrained start; blend weight 0.25 is the linear")
