"""The page of a saved model: what it is, how good, for whom, from what data, what licence."""

from collections.abc import Mapping
from typing import Any

from cllm4rec.config import PAPER, BackboneConfig, Config
from cllm4rec.config.naming import (
    is_papers_method,
    made_by,
    model_name,
    row_label,
    selection_line,
)
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.lengths import ByLength
from cllm4rec.models.pretrained import SMOLLM2

_BASES = {
    SMOLLM2: ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0"),
    PAPER.backbone.name: (PAPER.backbone.name, "mit"),
}
"""Backbone → its name on the hub and its licence, where both are known."""

_METRICS = ("recall@20", "recall@40", "ndcg@100")

_LOADING = """\
```python
from cllm4rec import CLLM4Rec

model = CLLM4Rec.load("this-folder")
model.recommend(["a user id"], k=10)
model.recommend_for_history(["an item id", "another"], k=10)
```

Loading verifies the sha256 of every file of `data/` and `model/` (`sha256.json`). Nothing in the
folder is code or a pickle: safetensors, JSON, Parquet and numpy arrays."""

_LIMITS = """\
- It ranks the catalogue it was trained on, and items that were added by their texts; no other item
  can be recommended.
- An item without a training interaction is scored by what its texts say alone.
- It repeats what its data favour: popular items, and the tastes of those who left many traces.
- Scores order items for one user. They are no probabilities, and those of two users do not compare.
- The figures above hold for this data, this split and this protocol. A click or a purchase that was
  never logged counts against every model in the table alike."""


def model_card(
    config: Config,
    dataset: Dataset,
    *,
    blend: float | None,
    by_length: ByLength | None = None,
    results: Mapping[str, Any] | None,
) -> str:
    """Markdown with YAML front matter, as model hubs read it.

    Args:
        config: that trained the model.
        dataset: what the model was trained on.
        blend: blend weight of the linear model; None where there is none.
        by_length: those of short histories, if there are any.
        results: of ``evaluate``, where it was done.
    """
    parts = [
        _front_matter(config.backbone),
        f"# A recommender of {len(dataset.items):,} items ({model_name(config)})",
        f"{_method(config)}{_blended(config, blend, by_length)}",
        "## How to load it",
        _LOADING,
        "## Results",
        _results(results, measurable=dataset.summary()["test"] > 0),
        "## Intended use",
        "Ranking the items of this catalogue for its users, or after a bare history, offline or in "
        "a service. Not for decisions about people (credit, work, housing, health), and not as a "
        "measure of what somebody is like.",
        "## Limits",
        _LIMITS,
        "## Backbone and licence",
        f"Trained by cllm4rec: {made_by(config)}. {_backbone(config.backbone)}",
        "## Data",
        _data(dataset),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(backbone: BackboneConfig) -> str:
    lines = ["library_name: cllm4rec"]
    known = _BASES.get(backbone.name)
    if known is not None:
        lines += [f"base_model: {known[0]}", f"license: {known[1]}"]
    tags = ["cllm4rec", "collaborative-filtering", "recommendation", "recommender-system"]
    lines += ["tags:", *(f"- {tag}" for tag in tags)]
    return "\n".join(["---", *lines, "---"])


def _method(config: Config) -> str:
    ranked = "one forward pass over a history ranks the whole catalogue"
    if is_papers_method(config):
        return (
            "A collaborative large language model (CLLM4Rec, Zhu et al., WWW 2024): users and "
            f"items are tokens beside the words of a language model, and {ranked}."
        )
    return (
        f"Items are tokens of a language model, and {ranked}; after CLLM4Rec (Zhu et al., WWW "
        "2024), without its mutually regularised pretraining."
    )


def _blended(config: Config, blend: float | None, by_length: ByLength | None) -> str:
    if blend is None:
        return ""
    short = "" if by_length is None else f" (in short histories {by_length})"
    texts = " and, where they help it, texts" if config.model.content else ""
    return (
        f" Its scores are blended with those of a linear model of interactions{texts}; its blend "
        f"weight, {blend:g}{short}, was chosen on validation."
    )


def _results(results: Mapping[str, Any] | None, *, measurable: bool) -> str:
    if results is None and not measurable:
        return (
            "Not measured: no test part is held out of its data. If it was made by `refit`, the "
            "run that it was made from has the same settings, and can be measured."
        )
    if results is None:
        return "Not measured: `evaluate` was not run before the model was saved."
    rows = results["rows"]
    reported = results.get("selection", _METRICS)
    metrics = [name for name in reported if any(name in row["metrics"] for row in rows)]
    lines = [
        f"| model | {' | '.join(metrics)} |",
        f"|---|{'---|' * len(metrics)}",
        *(
            f"| {row_label(row)} | {' | '.join(_cell(row['metrics'].get(x)) for x in metrics)} |"
            for row in rows
        ),
    ]
    selection = results.get("selection")
    chosen = "everything that is chosen was chosen on the validation part"
    if selection:
        chosen += f", by {selection_line(selection)}"
    return (
        f"On the {results['part']} part, the whole catalogue ranked, mean over users with its 95 % "
        f"interval; {chosen}.\n\n" + "\n".join(lines)
    )


def _cell(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return ""
    interval = f" ({metric['low']:.4f}, {metric['high']:.4f})" if "low" in metric else ""
    return f"{metric['mean']:.4f}{interval}"


def _backbone(config: BackboneConfig) -> str:
    known = _BASES.get(config.name)
    kept = {
        "frozen": "The backbone's weights are not in this folder: the same backbone has to be at "
        "hand when it is loaded, and is told by its sha256.",
        "lora": "Trained adapters are in this folder; the backbone has to be at hand when it is "
        "loaded, and is told by its sha256.",
        "full": "Trained weights are in this folder; the backbone has to be at hand for its "
        "words when it is loaded, and is told by its sha256.",
    }[config.mode]
    licence = (
        "The backbone's licence is not known here: read it before you publish what was trained "
        "from it."
        if known is None
        else f"The backbone is under {known[1]}, which then holds for what is derived from it."
    )
    return f"{kept} {licence}"


def _data(dataset: Dataset) -> str:
    counts = dataset.summary()
    parts = ", ".join(f"{counts[part]:,} {part}" for part in ("train", "valid", "test", "history"))
    held = "each user's newest" if dataset.newest_held_out else "drawn from each user's"
    return (
        f"{counts['users']:,} users, {counts['items']:,} items, {counts['interactions']:,} "
        f"interactions ({parts}); held out are {held} interactions. {counts['titles']:,} titles, "
        f"{counts['texts']:,} texts and {counts['reviews']:,} reviews of training pairs.\n\n"
        "**`data/` holds those ids, interactions and texts**, since recommending needs them. "
        "Publish this folder only where you may publish them; ids that name people should have "
        "been replaced before `prepare`."
    )
