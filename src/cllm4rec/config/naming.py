"""What a trained model is called in tables, reports and cards: after what made it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cllm4rec.config.complete import Config
from cllm4rec.config.presets import trained_as

LINEAR = "linear model"
"""Name of the linear half."""
_BACKBONES = {"smollm2-135m": "SmolLM2-135M-Instruct (4-bit file, de-quantised)"}
"""Backbone → the weights behind its name, where they are known."""


def is_papers_method(config: Config) -> bool:
    """Whether users' and items' tokens are trained with a content LLM under mutual regularisation.

    Only then a row may be called ``cllm4rec``.
    """
    pretrain = config.pretrain
    return (
        config.model.content
        and pretrain.enabled
        and pretrain.mutual_weight > 0
        and config.finetune.user_token_dropout < 1
    )


def language_half(config: Config) -> str:
    """Name of the trained language model by itself: ``cllm4rec`` or ``language model``.

    Other settings than the authors' are named: ``cllm4rec (paper-small)``.
    """
    if not is_papers_method(config):
        return "language model"
    if (settings := trained_as(config)) == "paper":
        return "cllm4rec"
    changed = "" if settings == config.preset else ", changed"
    return f"cllm4rec ({config.preset}{changed})"


def is_half(name: str) -> bool:
    """Whether half of some blend may be called so."""
    return name in ("language model", LINEAR) or name.startswith("cllm4rec")


def model_name(config: Config) -> str:
    """Name of what is trained: ``hybrid`` if it is blended with a linear model, else its own."""
    half = language_half(config)
    if not config.model.linear:
        return half
    return "hybrid" if half == "language model" else f"{half} + {LINEAR}"


def chosen_note(best_epoch: int, blend: float, *, linear: bool) -> str:
    """`chosen_notes` in one line; empty for a trained blend."""
    return ", ".join(chosen_notes(best_epoch, blend, linear=linear))


def chosen_notes(best_epoch: int, blend: float, *, linear: bool) -> list[str]:
    """What validation chose that a reader of the table must know; none for a trained blend.

    Args:
        best_epoch: 0 is before finetuning.
        blend: blend weight of the linear model.
        linear: whether there is a linear model.
    """
    if linear and blend == 1:
        return ["linear model alone"]
    notes = ["untrained start"] if best_epoch == 0 else []
    if linear and blend == 0:
        notes.append("language model alone")
    return notes


def chosen_line(best_epoch: int, epochs: int, blend: float, *, linear: bool) -> str:
    """What validation chose, in a sentence for somebody who has not read of halves and epochs.

    Args:
        best_epoch: 0 is before finetuning.
        epochs: that were trained; 0 where another run chose the start.
        blend: blend weight of the linear model.
        linear: whether there is a linear model.
    """
    model = f"the language model of epoch {best_epoch} of {epochs}"
    if best_epoch == 0:
        model = "the untrained start"
        model += f": none of {epochs} epochs of training was better" if epochs else ""
    if not linear:
        return model
    if blend == 1:
        return "the linear model alone: no share of the language model was better"
    if blend == 0:
        return f"{model}; the linear model has no share"
    return f"{model}; blend weight {blend:.4g} is the linear model's, {1 - blend:.4g} its own"


_ITEM_TEXTS = {
    "none": "",
    "words": "items made of TF-IDF and a free part",
    "read": "items made of TF-IDF, what {depth} pretrained layers read, and a free part",
    "auto": "items made of TF-IDF, what {depth} pretrained layers read, and a free part, "
    "where texts help the linear model",
}


def made_by(config: Config) -> str:
    """One line: preset, backbone, layers, and what of it was pretrained."""
    backbone = config.backbone
    layers = {None: "all layers", 1: "first layer"}.get(
        backbone.depth, f"first {backbone.depth} layers"
    )
    pretrained = (
        "all weights pretrained"
        if backbone.weights == "pretrained"
        else "word embeddings pretrained, transformer weights random"
    )
    texts = "" if config.model.content else "; texts not used"
    if config.model.content and (kind := _ITEM_TEXTS[config.model.item_texts]):
        texts = f"; {kind.format(depth=config.model.reading_depth)}"
    # A path may name a person; `prepare` keeps folders as absolute paths.
    local = Path(backbone.name).is_absolute()
    name = "from a local folder" if local else _BACKBONES.get(backbone.name, backbone.name)
    how = f"{layers}, {pretrained}, trained: {backbone.mode}{texts}"
    return f"preset {trained_as(config)}; backbone {name}, {how}"


def row_label(row: Mapping[str, Any]) -> str:
    """A row's name as people read it: ``hybrid (untrained start)``.

    Args:
        row: of results or of a bench's table, with ``model`` and, for our own, ``note``.
    """
    note = row.get("note")
    return f"{row['model']} ({note})" if note else str(row["model"])


def selection_line(measures: Sequence[str]) -> str:
    """What chose, for people: ``Recall@10 + NDCG@10``."""
    return " + ".join(m.replace("recall", "Recall").replace("ndcg", "NDCG") for m in measures)
