"""The ONNX model with eight-bit products, and what that costs: measured, not assumed."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.protocol import DEPTH, HeldOut, evaluate, evaluated_users
from cllm4rec.export.onnx_model import quiet
from cllm4rec.export.vectors import overlap, sample_of
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.scorer import ModelScorer

QUALITY = ("recall@20", "ndcg@100")


class HeldOutSample(NamedTuple):
    """Users of a held-out part who decide what eight bits cost."""

    part: HeldOut
    users: NDArray[np.int32]
    known: Interactions
    relevant: Interactions


def write_int8(scorer: ModelScorer, dataset: Dataset, source: Path, path: Path) -> dict[str, Any]:
    """Weights of all products as eight-bit integers, one scale per column; tables stay float32.

    Activations are rounded to eight bits at run time, one scale per product. Of the weights' 256
    steps half are used: without that, processors that have no instruction for such products
    overflow in them.

    Args:
        scorer: of the run.
        dataset: its test users, or validation users where there is no test part, are ranked by
            both models.
        source: the float32 model.
        path: the file to write.

    Returns:
        For the manifest: ``bytes``, ``float32_bytes``, ``part``, ``users``, ``overlap`` (share of
        the float32 model's best 100 that the lists have), and each of :data:`QUALITY` as
        ``[float32, int8]`` of the language model alone; null without a held-out part.
    """
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic

    with progress.task("Quantising"), quiet(None):
        quantize_dynamic(
            source,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            use_external_data_format=_beside(source).exists(),
        )
    sizes = {"bytes": _bytes(path), "float32_bytes": _bytes(source)}
    sample = _held_out_sample(dataset, scorer.task.config.seed)
    if sample is None:
        return {**sizes, "part": None, "users": 0, "overlap": None, **dict.fromkeys(QUALITY)}
    sessions = [
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        for file in (source, path)
    ]
    with progress.task("Comparing with float32", total=2 * len(sample.users), unit="user") as task:
        whole, eight = (_lists(scorer, session, sample, task) for session in sessions)
    num_items = sample.known.num_items
    reports = [
        evaluate(lists, sample.relevant, num_items=num_items).mean for lists in (whole, eight)
    ]
    return {
        **sizes,
        "part": sample.part,
        "users": len(sample.users),
        "overlap": overlap(eight.items, whole.items),
        **{name: [report[name] for report in reports] for name in QUALITY},
    }


def _beside(path: Path) -> Path:
    """The file that has the weights where they are too many for the model's own."""
    return path.with_name(f"{path.name}.data")


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, _beside(path)) if file.exists())


def _held_out_sample(dataset: Dataset, seed: int) -> HeldOutSample | None:
    parts: tuple[HeldOut, ...] = ("test", "valid")
    for part in parts:
        users = evaluated_users(dataset, part)
        if len(users):
            users = users[sample_of(len(users), seed)]
            known, relevant = dataset.known(part).rows(users), dataset.part(part).rows(users)
            return HeldOutSample(part, users, known, relevant)
    return None


def _lists(scorer: ModelScorer, session: Any, sample: HeldOutSample, task: Any) -> RankedItems:
    """The best :data:`DEPTH` by the session's vectors, users numbered by their place."""
    items, bias = scorer.item_vectors()
    ranked = RankedItems.empty(np.arange(len(sample.users), dtype=np.int32), DEPTH)
    for rows, batch in scorer.batches(sample.users, sample.known):
        given = {"tokens": batch.tokens.numpy(), "lengths": batch.lengths.numpy()}
        (vectors,) = session.run(None, given)
        ranked.fill(rows, vectors @ items.T + bias, sample.known.rows(rows))
        task.advance(len(rows))
    return ranked
