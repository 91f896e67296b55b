"""The plan's hypotheses: two named rows, compared as was written before test was read."""

from collections.abc import Sequence
from typing import Any

from cllm4rec.evaluation.intervals import holm_adjusted, paired_bootstrap_p
from cllm4rec.experiments.plan import Hypothesis
from cllm4rec.experiments.table import METRICS, Measured


def outcomes_of(
    hypotheses: Sequence[Hypothesis], dataset: str, measured: Sequence[Measured], bootstrap: int
) -> list[dict[str, Any]]:
    """One paired test per hypothesis and measure, where the data set has both rows.

    Args:
        hypotheses: of the plan.
        dataset: name of the data set.
        measured: its rows.
        bootstrap: samples of users behind each p.

    Returns:
        JSON values: ``better``, ``than``, ``dataset``, ``metric``, both ``seeds``, the relative
        ``difference`` (none if the second row has nothing) and the two-sided ``p``.
    """
    rows = {row.name: row for row in measured}
    found = []
    for hypothesis in hypotheses:
        if dataset not in (hypothesis.datasets or [dataset]):
            continue
        if hypothesis.better not in rows or hypothesis.than not in rows:
            continue
        better, than = rows[hypothesis.better], rows[hypothesis.than]
        for metric in hypothesis.metrics or [m for m in METRICS if m in better.selection]:
            ours, theirs = better.values(metric), than.values(metric)
            found.append({
                "better": better.name,
                "than": than.name,
                "dataset": dataset,
                "metric": metric,
                "seeds": [[seed for seed, _record in row.cells] for row in (better, than)],
                "difference": float(ours.mean() / theirs.mean() - 1) if theirs.mean() else None,
                "p": paired_bootstrap_p(ours, theirs, bootstrap),
            })
    return found


def adjust_within_hypotheses(tests: Sequence[dict[str, Any]]) -> None:
    """Add ``p_holm``: Holm's correction over all data sets and measures of each hypothesis.

    Args:
        tests: of `outcomes_of`, of all data sets.
    """
    for pair in dict.fromkeys((test["better"], test["than"]) for test in tests):
        family = [test for test in tests if (test["better"], test["than"]) == pair]
        for test, p in zip(family, holm_adjusted([t["p"] for t in family]), strict=True):
            test["p_holm"] = p
