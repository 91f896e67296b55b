"""How many operations the paper's stages take on both paths: what either could gain at most.

Counted by the formula of `cllm4rec.planning.flops`, for the same documents. Ours are those
that cannot be left out: real tokens, and heads at the positions that are asked for. Theirs are
what their program computes: padding, attention to what comes later as well, heads at every
position.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.authors.paths import STAGES, Ours, Theirs
from cllm4rec.planning.flops import Cost, Shape, backbone, head
from reference.authors_training import BATCH

EPOCHS = {"content": 10 + 100 + 150, "collaborative": 100, "finetune": 150}
"""Passes over each stage's documents in the authors' code: ten over the texts alone, a hundred
alternating ones, a hundred and fifty of finetuning with a pass over the texts after each."""
FLOAT32 = 4


def our_operations(ours: Ours, stage: str, drawn: Sequence[Any], shape: Shape) -> float:
    """Operations per document that no way of computing it exactly can do without."""
    objective = ours.objectives[stage]
    cost = Cost()
    for batch in objective.batches(drawn):
        once = stage == "finetune"
        lengths = (batch.prompts if once else batch).lengths.tolist()
        rows = len(lengths) if once else objective.counts(batch)["likelihood"]
        cost += backbone(shape, lengths, FLOAT32, learning=True, last_only=once)
        candidates = len(objective.model.head.bias)
        cost += _head(rows, shape.size, candidates, trained=stage != "content")
    return cost.flops / len(drawn)


def their_operations(path: Theirs, stage: str, drawn: Sequence[Any], shape: Shape) -> float:
    """Operations per document of their program."""
    documents = path.documents(stage, list(drawn))
    once = stage == "finetune"
    lengths = [
        len(one.document.prompt) if once else len(one.prompt) + len(one.main) for one in documents
    ]
    space, joint = path.ours.space, path.collaborative.joint
    candidates = space.num_words if stage == "content" else space.num_items
    if joint:
        candidates = space.size
    cost = Cost()
    for begin in range(0, len(lengths), BATCH):
        batch = lengths[begin : begin + BATCH]
        padded = [max(batch)] * len(batch)
        cost += backbone(shape, padded, FLOAT32, learning=True, causal=False)
        rows = len(batch) if once else sum(padded)
        # A table of everything has trained rows, and its gradient is of all of them.
        cost += _head(rows, shape.size, candidates, trained=joint or stage != "content")
    return cost.flops / len(drawn)


def _head(rows: int, size: int, candidates: int, *, trained: bool) -> Cost:
    return head(rows, size, candidates, FLOAT32, maps=0, learning=True, trained=trained)


def whole_training(ours: Ours, rows: Sequence[dict[str, Any]], name: str) -> float:
    """Hours of all of the authors' passes over all documents, at a path's measured rates."""
    rates = {row["stage"]: row[f"{name}_users_per_s"] for row in rows}
    documents = {stage: len(ours.objectives[stage].corpus) for stage in STAGES}
    seconds: float = sum(EPOCHS[stage] * documents[stage] / rates[stage] for stage in STAGES)
    return seconds / 3600
