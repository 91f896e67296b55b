"""demo: MovieLens-100K and SmolLM2-135M, from download to recommendations."""

from pathlib import Path
from typing import Any

from cllm4rec.config import Given, read_config
from cllm4rec.data.sources import SOURCES
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir, atomic_folder
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.train import train

SOURCE = "movielens-100k"


def demo(run: RunDir, config: Given = None, *, split: Path | None = None) -> dict[str, Any]:
    """Run all stages on real data.

    Args:
        run: receives everything, including the raw data.
        config: given settings.
        split: a split file; None for the paper's protocol.

    Returns:
        The results table, and three users' recommendations.
    """
    run.create()
    source = run.file("source", SOURCE)
    if not source.is_dir():
        with atomic_folder(source) as folder:
            SOURCES[SOURCE](folder)
    report = prepare(source, run, split=split, protocol="paper", config=config, replace=True)
    complete = read_config(run.settings)
    lm = LanguageModel.load(complete)
    trained = train(run, complete, lm)
    recommender = Recommender.load(run.path, lm=lm)
    results = evaluate(run, recommender=recommender)
    users = recommender.dataset.users.ids([0, 1, 2])
    lists = recommend(run, users=users, k=5, recommender=recommender)["recommendations"]
    return {
        "prepare": report,
        "train": trained,
        "results": results,
        "recommendations": lists,
        "report": str(run.file("report.html")),
    }
