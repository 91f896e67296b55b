"""Baselines that stand in every results table, by name; each tuned on validation."""

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.baselines.ease import Ease
from cllm4rec.baselines.ease_text import EaseText
from cllm4rec.baselines.ials import IAls
from cllm4rec.baselines.item_knn import ItemKnn
from cllm4rec.baselines.mult_vae import MultVae
from cllm4rec.baselines.popularity import Popularity
from cllm4rec.baselines.sasrec import SasRec
from cllm4rec.baselines.text_knn import TextKnn

__all__ = ["BASELINES", "Baseline", "Context", "Settings"]

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Popularity(),
        ItemKnn(),
        Ease(),
        TextKnn(),
        EaseText(),
        IAls(),
        MultVae(),
        SasRec(),
    )
}
"""Name in ``evaluate.baselines`` → baseline."""
