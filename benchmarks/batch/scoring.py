"""Batch scoring against the bare backbone: what documents, heads, lists and files cost on top.

A synthetic run, random tables around the first layers of the default backbone, scores users it does
not know, from a file of histories to the last shard. Shard by shard, in the same process, the same
token batches go through the backbone alone: what else the machine does meets both alike.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.batch.world import synthetic_recommender, write_synthetic_histories
from cllm4rec import progress
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.shards import Shard, ShardFolder
from cllm4rec.run import sha256_file
from cllm4rec.stages.recommend_all import audience_of, score_shard

SHARD_USERS = 1_000


def measure_batch(
    *,
    users: int = 5_000,
    items: int = 20_000,
    history_items: int = 20,
    k: int = 100,
    depth: int = 2,
    linear: bool = False,
) -> dict[str, Any]:
    """Users per second of batch scoring and of the bare backbone, and their ratio.

    Args:
        users: users to score, none of whom the run knows.
        items: items of the catalogue.
        history_items: items of each history.
        k: length of the lists.
        depth: layers of the backbone.
        linear: blend in a linear model; its matrix takes ``4 · items²`` bytes.

    Returns:
        ``users_per_s`` and ``tokens_per_s`` (without padding) from the histories file to
        ``_SUCCESS``, the loading of the model left out; ``backbone_users_per_s`` of embedding and
        backbone's forward pass on the same batches; ``ratio`` of the two, the lowest and the
        highest ratio of one shard, and ``ratio_last_positions`` beside a pass that spares the last
        layer all but the last positions, as batch scoring itself does.
    """
    with tempfile.TemporaryDirectory(prefix="cllm4rec-bench-") as name:
        folder = Path(name)
        with progress.task("Making the world"):
            recommender = synthetic_recommender(folder, items, depth=depth, linear=linear)
            histories = folder / "histories.parquet"
            write_synthetic_histories(histories, users, items, history_items)
        started_at_s = time.perf_counter()
        with audience_of(recommender, histories, folder / "out") as audience:
            out = ShardFolder(folder / "out", "", sha256_file(histories), k, SHARD_USERS, users)
            out.open()
            read_s = time.perf_counter() - started_at_s
            _bare_s(recommender, audience, Shard(0, 0, min(users, 64)))
            rows = []
            with progress.task("Scoring", total=users, unit="user") as task:
                for shard in out.shards:
                    rows.append(_both(recommender, audience, out, shard))
                    task.advance(shard.end - shard.start, ratio=rows[-1][1] / rows[-1][0])
        assert out.finish()
    scored_s, bare_s, last_s, tokens = map(sum, zip(*rows, strict=True))
    total_s = read_s + scored_s
    ratios = [row[1] / row[0] for row in rows]
    return {
        "users": users,
        "items": items,
        "history_items": history_items,
        "k": k,
        "depth": depth,
        "linear": linear,
        "threads": torch.get_num_threads(),
        "read_s": round(read_s, 3),
        "scoring_s": round(scored_s, 3),
        "users_per_s": round(users / total_s, 1),
        "tokens_per_s": round(tokens / total_s, 1),
        "backbone_users_per_s": round(users / bare_s, 1),
        "ratio": round(bare_s / total_s, 4),
        "ratio_last_positions": round(last_s / total_s, 4),
        "ratio_lowest": round(min(ratios), 4),
        "ratio_highest": round(max(ratios), 4),
    }


def _both(
    recommender: Recommender, audience: Audience, out: ShardFolder, shard: Shard
) -> tuple[float, float, float, int]:
    """Seconds of the shard's whole way, of the two bare forwards, and its tokens."""
    started_at_s = time.perf_counter()
    tokens = sum(
        counts.tokens
        for counts in score_shard(recommender, audience, audience.request(out.k), out, shard)
    )
    scored_s = time.perf_counter() - started_at_s
    return scored_s, *_bare_s(recommender, audience, shard), tokens


def _bare_s(recommender: Recommender, audience: Audience, shard: Shard) -> tuple[float, float]:
    """Seconds from a shard's batches to hidden states: of all positions, of the last ones."""
    histories = audience.histories.rows(np.arange(shard.start, shard.end))
    scorer = recommender.scorer
    asked = scorer.batches(audience.numbers[shard.start : shard.end], histories)
    batches, model = [batch for _, batch in asked], scorer.model.eval()
    forward_s = last_s = 0.0
    with torch.inference_mode():
        for each in batches:
            started_at_s = time.perf_counter()
            model.backbone(model.embedding(each.tokens), each.lengths)
            between_s = time.perf_counter()
            model.backbone.last(model.embedding(each.tokens), each.lengths)
            forward_s += between_s - started_at_s
            last_s += time.perf_counter() - between_s
    return forward_s, last_s
