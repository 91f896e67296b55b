"""From a validated request to lists: resolve ids, score through the queue, add titles."""

import asyncio
import time
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.ranking import Scorer
from cllm4rec.recommender.catalogue import Filters
from cllm4rec.recommender.explain import explanations_from, leave_one_out
from cllm4rec.recommender.profiles import profile_scores
from cllm4rec.recommender.requests import ListRequest
from cllm4rec.service.batching import MicroBatcher
from cllm4rec.service.feedback_histories import FeedbackHistories
from cllm4rec.service.schemas import RecommendRequest
from cllm4rec.service.served import Served
from cllm4rec.service.settings import MAX_EXPLAINED

Row = tuple[NDArray[np.int32], NDArray[np.float32]]
"""One list: items and scores, best first."""
Explanations = list[list[list[dict[str, Any]]]]
"""JSON explanations, per list, per item."""


async def asked(
    body: RecommendRequest, served: Served, feedback_histories: FeedbackHistories
) -> ListRequest:
    """`request_of`, outside the event loop where words are read, or users or items compared."""
    compared = isinstance(body.where, list)
    if body.query is None and body.profile is None and not compared:
        return request_of(body, served, feedback_histories)
    found: ListRequest = await off_loop(request_of, body, served, feedback_histories)
    return found


def request_of(
    body: RecommendRequest, served: Served, feedback_histories: FeedbackHistories
) -> ListRequest:
    """Resolve the ids of a request; what users had since the training, as feedback says, counts.

    Raises:
        UnknownId: nothing that was asked for is known.
        InputError: a filter on a column that does not exist, a query that cannot be answered, or a
            property that the run does not know.
    """
    wanted = None if body.query is None else served.queries.wanted(body.query, body.query_weight)
    filters = Filters(body.include, body.exclude, body.where, body.seen)
    if body.profile is not None:
        taste = profile_scores(served.properties(), body.profile)
        return ListRequest.for_nobody(served.catalogue, body.k, filters, wanted=wanted, cold=taste)
    if body.users is None:
        histories = body.histories or [[]]
        return ListRequest.for_histories(served.catalogue, histories, body.k, filters, wanted)
    return ListRequest.for_users(
        served.catalogue,
        served.known,
        body.users,
        body.k,
        filters,
        feedback_histories.histories(body.users),
        wanted,
    )


def lists(request: ListRequest, scores: NDArray[np.float32], rows: slice) -> list[Row]:
    """The best items of some rows, without empty places."""
    items, best = request.best(scores, rows)
    return [(row[row >= 0], of[row >= 0]) for row, of in zip(items, best, strict=True)]


async def ranked(
    query: ListRequest, served: Served, batcher: MicroBatcher, deadline_s: float
) -> list[Row]:
    """Lists by the model, scored with other requests; by words or properties alone without it."""
    if query.of_nobody:
        return cold(query, served)
    kept = await batcher.score(
        served.scorer,
        query.users,
        query.histories,
        served.tokens(query.histories.counts()),
        partial(lists, query),
        deadline_s=deadline_s,
    )
    return [row for block in kept for row in block]


async def explained(
    query: ListRequest, rows: list[Row], served: Served, batcher: MicroBatcher, deadline_s: float
) -> Explanations:
    """Explanations of every listed item, measured by leaving one item out.

    Raises:
        InputError: measuring them would take longer than the deadline allows.
    """
    tried = np.minimum(query.histories.counts(), MAX_EXPLAINED)
    tokens = int(((tried + 1) * served.tokens(query.histories.counts())).sum())
    seconds = batcher.speed.seconds(tokens, batcher.batch_tokens)
    if time.monotonic() + seconds > deadline_s:
        raise InputError(f"explaining this would take {seconds:.0f} s; ask for fewer at a time")
    if query.of_nobody:
        return [[[] for _ in items] for items, _ in rows]
    found = []
    for place, (items, _) in enumerate(rows):
        users, without = _left_out(query, place)

        def keep(scores: NDArray[np.float32], _rows: slice, items: Any = items) -> Any:
            return scores[:, items]

        kept = await batcher.score(
            served.scorer.counting(len(query.histories.of(place))),
            users,
            without,
            served.tokens(without.counts()),
            keep,
            deadline_s=deadline_s,
        )
        found.append(await off_loop(_named, np.concatenate(kept), query, place, served))
    return found


def cold(query: ListRequest, served: Served) -> list[Row]:
    """The one list of a query or of properties, without user and history."""
    found = query.cold_list(served.catalogue.popularity)
    return [(found.items[0][found.items[0] >= 0], found.scores[0][found.items[0] >= 0])]


def compared(
    query: ListRequest, served: Served, explain: bool
) -> tuple[list[Row], Explanations | None]:
    """Lists and explanations by the EASE baseline; the first call fits it, which takes seconds.

    After items that EASE has no weights for, such as added ones alone, it knows nothing: an empty
    list.

    Raises:
        InputError: the catalogue is too large for EASE.
    """
    if query.of_nobody:
        rows = cold(query, served)
        return rows, [[[] for _ in items] for items, _ in rows] if explain else None
    scorer: Scorer = served.ease()
    scores = scorer.score(query.users, query.histories)
    rows = lists(query, scores, slice(0, len(query)))
    if query.wanted is None and not served.catalogue.counts[query.histories.items].any():
        rows = [(items[:0], best[:0]) for items, best in rows]
    if not explain:
        return rows, None
    found = []
    for place, (items, _) in enumerate(rows):
        scores = scorer.score(*_left_out(query, place))[:, items]
        found.append(_named(scores, query, place, served))
    return rows, found


def results(
    request: RecommendRequest,
    query: ListRequest,
    rows: list[Row],
    reasons: Explanations | None,
    served: Served,
) -> list[dict[str, Any]]:
    """Lists as JSON, one for each user or history of the request."""
    catalogue = served.catalogue
    nothing = np.empty(0, np.int32), np.empty(0, np.float32)
    found = []
    for place, row in enumerate(query.places()):
        items, scores = nothing if row is None else rows[row]
        found.append({
            "user_id": None if request.users is None else request.users[place],
            "items": [
                {
                    "item_id": catalogue.ids[item],
                    "title": catalogue.titles[item],
                    "score": score,
                    "rank": at + 1,
                    "reasons": None if reasons is None or row is None else reasons[row][at],
                }
                for at, (item, score) in enumerate(
                    zip(items.tolist(), scores.tolist(), strict=True)
                )
            ],
        })
    return found


def deadline(seconds: float) -> float:
    """The moment ``seconds`` from now, by the batcher's clock."""
    return time.monotonic() + seconds


async def off_loop(function: Any, *arguments: Any) -> Any:
    """Run a slow function in another thread, so that the event loop stays free."""
    return await asyncio.to_thread(function, *arguments)


def _left_out(query: ListRequest, place: int) -> tuple[NDArray[np.int32], Interactions]:
    """Users and histories to score for the explanations of one list."""
    histories = query.histories
    without = leave_one_out(histories.of(place), histories.num_items, MAX_EXPLAINED)
    return np.full(without.num_users, query.users[place], np.int32), without


def _named(
    scores: NDArray[np.float32], query: ListRequest, place: int, served: Served
) -> list[list[dict[str, Any]]]:
    """Explanations of every item of one list, as JSON."""
    catalogue, history = served.catalogue, query.histories.of(place)
    return [
        [
            {
                "item_id": catalogue.ids[reason.item],
                "title": catalogue.titles[reason.item],
                "effect": reason.effect,
            }
            for reason in each
        ]
        for each in explanations_from(scores, history[len(history) - (len(scores) - 1) :])
    ]
