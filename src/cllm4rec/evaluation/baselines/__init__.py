"""Baselines that stand in every results table, by name; each tuned on validation."""

from cllm4rec.evaluation.baselines.base import Baseline, Context, Settings
from cllm4rec.evaluation.baselines.ease import Ease
from cllm4rec.evaluation.baselines.ease_text import EaseText
from cllm4rec.evaluation.baselines.ials import IAls
from cllm4rec.evaluation.baselines.item_knn import ItemKnn
from cllm4rec.evaluation.baselines.popularity import Popularity
from cllm4rec.evaluation.baselines.text_knn import TextKnn

__all__ = ["BASELINES", "Baseline", "Context", "Settings"]

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (Popularity(), ItemKnn(), Ease(), TextKnn(), EaseText(), IAls())
}
"""Name in ``evaluate.baselines`` → baseline."""
