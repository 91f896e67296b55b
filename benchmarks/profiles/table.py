"""The table of users without a history."""

from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.profiles.rows import Columns, Question, Row, Table, readings_of, rows
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.intervals import bootstrap_interval, paired_bootstrap_p
from cllm4rec.evaluation.metrics import hits, ndcg_at, recall_at
from cllm4rec.ranking import top_k

SEEDS = 3
LISTED = 100

Numbers = NDArray[np.int64]


def table(dataset: Dataset, backbone: str, depth: int) -> dict[str, Any]:
    """Recall@20 and NDCG@100 of each row, over the test users of three random orders."""
    known, columns = dataset.known("recommend"), dataset.texts.user_features
    splits = [_split(known.num_users, seed) for seed in range(SEEDS)]
    found = {
        name: _measured(known, columns, splits, settings)
        for name, settings in rows(readings_of(columns, backbone, depth))
    }
    mine = found["ours"]["values"]
    return {
        "users": known.num_users,
        "test_users": [len(test) for _, _, test in splits],
        "rows": {name: _compared(row, mine) for name, row in found.items()},
    }


def _split(users: int, seed: int) -> tuple[Numbers, Numbers, Numbers]:
    order = np.random.default_rng(seed).permutation(users)
    test, valid = users // 5, users // 5 + users // 10
    return order[valid:], order[test:valid], order[:test]


def _measured(
    known: Interactions, columns: Columns, splits: Any, settings: list[tuple[Any, Row]]
) -> dict[str, Any]:
    """Test values of the setting that is best on the validation users of all orders."""

    def values(row: Row, part: int) -> Table:
        asked = [Question(known, columns, split[0], split[part]) for split in splits]
        return np.concatenate([_values(row(each), known.rows(each.asked)) for each in asked])

    valid = [values(row, 1).mean(axis=0).sum() for _, row in settings]
    setting, row = settings[int(np.argmax(valid))]
    return {"setting": setting, "valid": max(valid), "values": values(row, 2)}


def _values(scores: Table, relevant: Interactions) -> Table:
    """Recall@20 and NDCG@100 of each user, ``[users, 2]``."""
    nothing = Interactions.from_lists([[]] * len(scores), relevant.num_items)
    listed = top_k(scores.astype(np.float32), nothing, LISTED)[0]
    hit, counts = hits(listed, relevant), relevant.counts()
    return np.stack([recall_at(hit, counts, 20), ndcg_at(hit, counts, 100)], axis=1)


def _compared(row: dict[str, Any], mine: Table) -> dict[str, Any]:
    other, result = row["values"], {"setting": row["setting"], "valid": round(row["valid"], 4)}
    for at, name in enumerate(("recall@20", "ndcg@100")):
        low, high = bootstrap_interval(mine[:, at] - other[:, at])
        p = paired_bootstrap_p(mine[:, at], other[:, at])
        result[name] = {"mean": other[:, at].mean(), "low": low, "high": high, "p": p}
    return result


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    click.echo(f"{sum(result['test_users'])} users without a history; ours less row, 95 %, p")
    for name, row in result["rows"].items():
        said = "  ".join(
            f"{of['mean']:.4f} ({of['low']:+.4f} to {of['high']:+.4f}, {of['p']:.3f})"
            for of in (row["recall@20"], row["ndcg@100"])
        )
        click.echo(f"  {name:32s} {said}  {row['setting']}")
