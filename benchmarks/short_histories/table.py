"""The table: each row at each number of items that are told."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.tuning import tune
from cllm4rec.config import reported_measures
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.lengths import told
from cllm4rec.ensemble.weight import blended_by
from cllm4rec.errors import InputError
from cllm4rec.evaluation.intervals import paired_bootstrap_p
from cllm4rec.evaluation.protocol import DEPTH, evaluate, evaluated_users
from cllm4rec.evaluation.selection import Selection
from cllm4rec.ranking import RankedItems, blocks
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.scorer import ModelScorer

NUMBERS = (1, 2, 3, 5, 10, None)
"""Items that are told; None: all."""
MODEL, LANGUAGE, LINEAR = "hybrid", "· language model", "· linear model"
SAMPLES = 5000

Scores = Mapping[str, NDArray[np.float32]]
Score = Callable[[NDArray[np.int32], Interactions], Scores]
Values = dict[str, dict[str, NDArray[np.float64]]]
"""Row → measure → one value per user."""


def table(runs: Sequence[Path], baselines: Sequence[str]) -> dict[str, Any]:
    """Means of each row by the number of items told, and p against each half of the blend.

    Args:
        runs: trained on the same data with a linear model, several seeds of one model.
        baselines: names; tuned once, on the validation part of the first run.

    Raises:
        InputError: a run has no linear model, or the runs have different data.
    """
    models = [_loaded(run) for run in runs]
    dataset = models[0].dataset
    if any(not _same(model.dataset, dataset) for model in models[1:]):
        raise InputError(
            f"{', '.join(map(str, runs))} have different data; give seeds of one model"
        )
    newest = dataset.newest_held_out
    measures = reported_measures(newest_held_out=newest)
    own = dict(_tuned(dataset, measures, baselines))
    users, known = evaluated_users(dataset, "test"), dataset.known("test")
    rows: dict[str, Any] = {}
    for number in NUMBERS:
        some = told(known.rows(users), number, newest=newest)
        found = [_values(dataset, users, some, _halves(model.scorer)) for model in models]
        means: Values = {
            name: {m: np.mean([each[name][m] for each in found], axis=0) for m in measures}
            for name in found[0]
        }
        for name, scorer in own.items():
            score = _named(name, scorer.score)
            means |= _values(dataset, users, some, score)
        rows["all" if number is None else str(number)] = _compared(means, measures)
    length = float(np.median(known.rows(users).counts()))
    return {"users": len(users), "median_history": length, "measures": measures, "told": rows}


def _halves(scorer: ModelScorer) -> Score:
    """The blend and both halves of one forward pass; user tokens are not used."""

    def score(users: NDArray[np.int32], history: Interactions) -> Scores:
        weights = {MODEL: scorer.by_length or scorer.weight, LANGUAGE: 0.0, LINEAR: 1.0}
        blended = blended_by(weights, scorer.halves(users, history), history, scorer.unseen)
        return {name: scores.numpy() for name, scores in blended}

    return score


def _named(name: str, score: Callable[..., NDArray[np.float32]]) -> Score:
    return lambda users, history: {name: score(users, history)}


def _loaded(run: Path) -> Recommender:
    recommender = Recommender.load(run, added=False)
    if recommender.scorer.linear is None:
        raise InputError(f"{run} has no linear model, so there are no halves to compare")
    recommender.scorer.anonymous = True
    return recommender


def _same(one: Dataset, other: Dataset) -> bool:
    return np.array_equal(one.interactions.items, other.interactions.items) and np.array_equal(
        one.part_codes, other.part_codes
    )


def _tuned(
    dataset: Dataset, measures: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    selection = Selection.of(dataset, measures, 0)
    context = Context.of(dataset, 0, selection)
    for name in names:
        baseline = baseline_named(name, None)
        yield name, tune(baseline, dataset.part("train"), selection, context).scorer


def _values(dataset: Dataset, users: NDArray[np.int32], some: Interactions, score: Score) -> Values:
    """Every measure of every user; all that is known is left out of the lists."""
    known, lists = dataset.known("test").rows(users), dict[str, RankedItems]()
    for at, history in blocks(some, "Ranking"):
        for name, scores in score(users[at], history).items():
            listed = lists.setdefault(name, RankedItems.empty(users, DEPTH))
            listed.fill(at, scores, known.rows(at))
    relevant = dataset.part("test")
    return {
        name: evaluate(listed, relevant, num_items=len(dataset.items)).per_user
        for name, listed in lists.items()
    }


def _compared(values: Values, measures: Sequence[str]) -> dict[str, Any]:
    mine = values[MODEL]
    return {
        name: {
            measure: {
                "mean": round(float(own[measure].mean()), 4),
                "p": round(paired_bootstrap_p(mine[measure], own[measure], SAMPLES), 4),
            }
            for measure in measures
        }
        for name, own in values.items()
    }


def show(result: dict[str, Any]) -> None:
    """Print the first two measures of each row by the number of items told."""
    measures = result["measures"][:1] + result["measures"][-1:]
    click.echo(
        f"{'/'.join(measures)} of {result['users']} users, median history "
        f"{result['median_history']:g}, by the number of their items that is told"
    )
    names = list(next(iter(result["told"].values())))
    click.echo(f"  {'':18s} " + " ".join(f"{number:>11s}" for number in result["told"]))
    for name in names:
        cells = (
            "/".join(f"{of[name][measure]['mean']:.3f}" for measure in measures)
            for of in result["told"].values()
        )
        click.echo(f"  {name:18s} " + " ".join(f"{cell:>11s}" for cell in cells))
