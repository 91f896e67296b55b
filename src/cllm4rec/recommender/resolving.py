"""From external ids to histories: what is known of them counts, a note says how much is not."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions, newest_once
from cllm4rec.data.left_out import Had
from cllm4rec.recommender.catalogue import Catalogue, Filters

_NOTHING = Had(np.empty(0, np.int32), np.empty(0, np.int32))

Since = Mapping[str, Sequence[str]]
"""Item ids that users had since the data were prepared, oldest first, by user id."""

_NOTHING_KNOWN = (
    "the data have no positive interaction of it with an item of the catalogue (items that only "
    "users below data.minimum_interactions had are not in it); give a history"
)
_OTHER_ITEMS = "its feedback has no item of the catalogue; give a history"


class Resolved(NamedTuple):
    """Whose lists are asked for.

    Attributes:
        users: ``int32 [rows]``; −1 for users not in the run.
        histories: known items per row, oldest first.
        answered: ``bool [asked]``, false for what has no row since nothing of it is known.
        notes: what is not known, a line each.
        excluded: further items that each row's user has had; None without any.
    """

    users: NDArray[np.int32]
    histories: Interactions
    answered: NDArray[np.bool_]
    notes: list[str]
    excluded: Interactions | None = None


def of_users(
    catalogue: Catalogue, known: Interactions, user_ids: Sequence[str], since: Since
) -> Resolved:
    """Users of the run by number and history; others by what the log and ``since`` say of them.

    Args:
        catalogue: of the run.
        known: all interactions of the run's users.
        user_ids: whom to recommend for.
        since: what is newer than the data.

    Raises:
        UnknownId: nothing is known of any of the users.
    """
    numbers = catalogue.dataset.users
    strangers = [user_id for user_id in user_ids if user_id not in numbers]
    if not strangers and not any(user_id in since for user_id in user_ids):
        users = numbers.numbers(user_ids)
        excluded = catalogue.dataset.excluded.rows(users)
        return Resolved(users, known.rows(users), np.ones(len(users), np.bool_), [], excluded)
    left_out = catalogue.dataset.left_out.find(strangers)
    answered = np.zeros(len(user_ids), np.bool_)
    asked: list[int] = []
    rows: list[list[int]] = []
    further: list[list[int]] = []
    for place, user_id in enumerate(user_ids):
        user = -1 if user_id in left_out or user_id not in numbers else numbers.number(user_id)
        if user >= 0:
            had = Had(known.of(user), catalogue.dataset.excluded.of(user))
        else:
            had = left_out.get(user_id, _NOTHING)
        history = _gone_on(
            had.history.tolist(), catalogue.known_numbers(since.get(user_id, ())), user >= 0
        )
        if history:
            answered[place] = True
            asked.append(user)
            rows.append(history)
            further.append(had.excluded.tolist())
    if not answered.any():
        first = user_ids[0]
        known_of = _OTHER_ITEMS if since.get(first) else ""
        raise numbers.unknown(first, _NOTHING_KNOWN if first in left_out else known_of)
    missing = len(user_ids) - len(asked)
    notes = [f"{missing} of {len(user_ids)} users are not known and have no list"]
    histories, excluded = (
        Interactions.from_lists(each, len(catalogue.items)) for each in (rows, further)
    )
    users = np.array(asked, np.int32)
    return Resolved(users, histories, answered, notes if missing else [], excluded)


def of_histories(catalogue: Catalogue, histories: Sequence[Sequence[str]]) -> Resolved:
    """Histories given as item ids; a repeated item counts at its newest place.

    Args:
        catalogue: of the run.
        histories: item ids, oldest first.

    Raises:
        UnknownId: none of the items is known.
    """
    rows = [newest_once(catalogue.known_numbers(history)) for history in histories]
    answered = np.array([bool(row) or not of for row, of in zip(rows, histories, strict=True)])
    if not answered.any():
        catalogue.item_numbers(histories[0])  # raises UnknownId
    notes = [catalogue.unknown_note([item for of in histories for item in of], "of the history")]
    if missing := int((~answered).sum()):
        notes.append(f"{missing} of {len(rows)} histories have no known item and no list")
    kept = [row for row, whether in zip(rows, answered, strict=True) if whether]
    found = Interactions.from_lists(kept, len(catalogue.items))
    users = np.full(len(kept), -1, np.int32)
    return Resolved(users, found, answered, [note for note in notes if note is not None])


def history_of(
    catalogue: Catalogue, known: Interactions, user_id: str, since: Since
) -> NDArray[np.int32]:
    """What one user had, oldest first, ``int32 [items]``.

    Raises:
        UnknownId: nothing is known of the user.
    """
    return of_users(catalogue, known, [user_id], since).histories.of(0)


def filter_notes(
    catalogue: Catalogue, filters: Filters, allowed: NDArray[np.bool_] | None
) -> list[str]:
    """What of the filters' ids is not known, what ranges leave out, and why none passes."""
    notes = [
        None if ids is None else catalogue.unknown_note(ids, f"of {name}")
        for name, ids in (("include", filters.include), ("exclude", filters.exclude))
    ]
    notes += [*catalogue.unread(filters), catalogue.nothing_passes(filters, allowed)]
    return [note for note in notes if note is not None]


def _gone_on(before: Sequence[int], new: Sequence[int], trained: bool) -> list[int]:
    """A history with what came since.

    Feedback that a later training has taken in is still in its log. So of a user of the run only
    items that the data lack are appended: an old row must not move an item to the end.
    """
    if not trained:
        return newest_once([*before, *new])
    had = set(before)
    return [*before, *newest_once(item for item in new if item not in had)]
