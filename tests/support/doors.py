"""What every door answers for one trained run, for a comparison of the devices behind them."""

from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from cllm4rec.export.int8 import write_int8
from cllm4rec.export.onnx_model import write_onnx
from cllm4rec.export.vectors import vectors_of
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.explain import explain
from cllm4rec.recommender.lists import ranked
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.service import ModelHolder, ServiceSettings, create_app

K = 5


def answers(run: RunDir, device: str | None, *, onnx: Path | None = None) -> dict[str, Any]:
    """What Python's doors and the export compute.

    Args:
        run: a trained one.
        device: to load it on; None for the run's own.
        onnx: folder to export the ONNX models to; None leaves them out.

    Returns:
        ``device`` where it is computed; ``items``: door → the items it lists; ``numbers``: door →
        what it computes, scores and vectors.
    """
    # Imported once a device may be pretended, which knows no inference tensors.
    from cllm4rec.recommender.incremental import IncrementalHistory

    recommender = Recommender.load(run.path, device)
    scorer, dataset = recommender.scorer, recommender.dataset
    known = dataset.known("recommend")
    user = int(known.counts().argmax())
    history = known.of(user)
    ids = dataset.items.ids(history)
    users = recommender.recommend(dataset.users.ids(range(20)), K)
    bare = recommender.recommend_for_history(ids, K)
    everyone = ranked(scorer, Audience.of_run(dataset).request(K))
    vectors = vectors_of(scorer, dataset)
    found = explain(scorer, user, history, bare.items[0], len(dataset.items))
    items = {"recommend": users.items, "history": bare.items[0], "lists": everyone.items}
    numbers = {
        "recommend": users.scores,
        "history": bare.scores,
        "lists": everyone.scores,
        "explain": np.array([reason.effect for each in found for reason in each]),
        "users": vectors.users,
        "items": vectors.items,
        "biases": vectors.biases,
    }
    if scorer.task.extends:
        visit = IncrementalHistory(recommender, ids[:3])
        visit.append(ids[3:])
        numbers["follow"] = visit.scores()
        listed = [item_id for item_id, _ in visit.recommend(K)]
        items["follow"] = dataset.items.numbers(listed)
    if onnx is not None:
        audience, path = Audience.of_run(dataset), onnx / "user_vector.onnx"
        apart = write_onnx(scorer, audience, path)["max_abs_difference_from_run"]
        eight = write_int8(scorer, dataset, path, onnx / "user_vector.int8.onnx")
        numbers["onnx"] = np.array([apart, *eight["recall@20"]])
    return {
        "device": scorer.model.device.type,
        "items": {door: listed.tolist() for door, listed in items.items()},
        "numbers": {door: values.ravel().tolist() for door, values in numbers.items()},
    }


def served(run: RunDir, feedback: Path) -> dict[str, Any]:
    """The same of one request to a service of the run, for the first of its users."""
    holder = ModelHolder(run.path)
    holder.load()
    dataset, scorer = holder.current.dataset, holder.current.scorer
    settings = ServiceSettings(run=run.path, feedback=feedback, max_wait_ms=60_000)
    with TestClient(create_app(settings, holder)) as client:
        body = {"users": [dataset.users.id(0)], "k": K, "explain": True}
        response = client.post("/v1/recommend", json=body)
    (result,) = response.json()["results"]
    return {
        "device": scorer.model.device.type,
        "items": [dataset.items.number(item["item_id"]) for item in result["items"]],
        "scores": [item["score"] for item in result["items"]],
    }
