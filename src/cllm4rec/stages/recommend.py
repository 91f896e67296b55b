"""recommend: lists for some users, for all users, or for a history."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from cllm4rec.data.left_out import users_left_out
from cllm4rec.errors import InputError
from cllm4rec.ranking import RankedItems, list_length, refuse_file, write_lists
from cllm4rec.recommender.catalogue import Filters
from cllm4rec.recommender.requests import NO_FILTERS
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir


def recommend(
    run: RunDir,
    *,
    users: list[str] | None = None,
    history: list[str] | None = None,
    query: str | None = None,
    query_weight: float | None = None,
    profile: Mapping[str, str] | None = None,
    k: int = 10,
    out: Path | None = None,
    filters: Filters = NO_FILTERS,
    recommender: Recommender | None = None,
) -> dict[str, Any]:
    """Recommend with a trained run.

    Args:
        run: a finetuned run, or a folder written by ``CLLM4Rec.save``.
        users: external ids, duplicates ignored; None for every user, unless a history or a query is
            given.
        history: item ids, oldest first, of a user who is not in the run.
        query: what is asked for, in words; alone, for users or after a history.
        query_weight: of the words beside taste or popularity; None for the default.
        profile: properties of somebody without a history, as columns of ``users.*``.
        k: length of each list; at most the catalogue's size.
        out: top-k file to write, CSV where its name ends in .csv, else Parquet; not for a history.
        filters: on the items listed.
        recommender: the run's model, if it is loaded.

    Returns:
        ``users`` and ``k``, and either ``out`` or the lists in ``recommendations``; for every user
        also ``users_left_out``: users of the run's data who get no list, by reason.

    Raises:
        RunError: the run is not trained.
        UnknownId: nothing is known of any user, or of the history. Users left out by the split get
            lists from their history; what else is not known is left aside, with a note.
        InputError: ``out`` is a folder, inside a run or a file that is not a top-k file, ``k`` is
            not positive, a filter names an unknown column, the query cannot be answered, or a
            property or its value is not known.
    """
    run.require_trained()
    if out is not None:
        refuse_file(out)
    recommender = Recommender.load(run.path) if recommender is None else recommender
    k = list_length(k, len(recommender.dataset.items))
    if profile is not None:
        ranked = recommender.recommend_for_profile(profile, k, filters, query, query_weight)
        return {"k": k, "recommendations": _lists(recommender, ranked, ["profile"])}
    if history is not None or (users is None and query is not None):
        ranked = recommender.recommend_for_history(history or [], k, filters, query, query_weight)
        name = "query" if history is None else "history"
        return {"k": k, "recommendations": _lists(recommender, ranked, [name])}
    dataset = recommender.dataset
    if users is None:
        if out is None:
            raise InputError(
                "lists for every user need a file; give --out FILE.parquet or FILE.csv"
            )
        ranked = recommender.recommend(None, k, filters)
    else:
        users = list(dict.fromkeys(users))
        ranked = recommender.recommend(users, k, filters, query, query_weight)
        if out is None:
            return {
                "users": len(users),
                "k": k,
                "recommendations": _lists(recommender, ranked, users),
            }
    ids = dataset.users.external if users is None else pa.array(users, pa.large_string())
    write_lists(out, ids, ranked, dataset.items)
    result: dict[str, Any] = {"users": len(ranked.users), "k": k, "out": str(out)}
    if users is None:
        result["users_left_out"] = users_left_out(dataset.report())
    return result


def _lists(
    recommender: Recommender, ranked: RankedItems, names: list[str]
) -> dict[str, list[dict[str, Any]]]:
    dataset = recommender.dataset
    titles = dataset.texts.item_titles
    return {
        name: [
            {
                "rank": rank,
                "item_id": dataset.items.id(int(item)),
                "title": titles[int(item)],
                "score": float(score),
            }
            for rank, (item, score) in enumerate(zip(items, scores, strict=True), start=1)
            if item >= 0
        ]
        for name, items, scores in zip(names, ranked.items, ranked.scores, strict=True)
    }
