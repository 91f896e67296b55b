"""add-items, remove-items: items that come with a text alone, placed at once, without training."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from cllm4rec import progress
from cllm4rec.config import DataConfig
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.further_items import read_further_items
from cllm4rec.data.item_rows import NO_ROWS, ItemRows
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.linear.words import words_of
from cllm4rec.recommender.added import AddedItems
from cllm4rec.recommender.arguments import id_list
from cllm4rec.recommender.calibration import FIRST
from cllm4rec.recommender.intact import model_sha256, verified_record
from cllm4rec.recommender.lists import ranked
from cllm4rec.recommender.placing import ItemTexts, Placing
from cllm4rec.recommender.requests import ListRequest
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir, exclusive
from cllm4rec.run.added import remove_all, replaced
from cllm4rec.seeds import generator
from cllm4rec.stages.likely_slips import note_likely_slips

MOST_BYTES = 100_000
"""Longest text of an item, in UTF-8."""
NAMED = 3
"""Ids that a refusal names for each reason."""
SAMPLE_USERS, LISTED = 500, 20
"""Lists in which the share of added items is measured, and their length."""

SKIPPED_BY = "(--skip; in Python skip=True)"
"""How a shell and Python ask for it; over HTTP it is a field."""
KNOWN, ADDED = "an item_id that the run was trained with", "an item_id that was added before"
NO_TEXT, TOO_LONG = "no title or text", f"a text of more than {MOST_BYTES:,} bytes"
NO_WORD = "no word that two items of the run have"
CUT_OTHERWISE = "no word that the run has, whose words an earlier version cut (train it again)"


@dataclass(slots=True)
class Refusals:
    """Ids of the items that cannot be added, by reason."""

    by_reason: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, ids: Sequence[str]) -> None:
        """Some more ids."""
        if ids:
            self.by_reason.setdefault(reason, []).extend(ids)

    def refuse(self, source: Path) -> None:
        """Refuse the file if any of its items is refused.

        Raises:
            InputError: says of which items, and why.
        """
        if not self.by_reason:
            return
        said = "; ".join(f"{reason}: {_named(ids)}" for reason, ids in self.by_reason.items())
        raise InputError(
            f"{source}: nothing was added, for some rows cannot be: {said}; mend them, or ask to "
            f"skip them {SKIPPED_BY}"
        )

    def counts(self) -> dict[str, int]:
        """How many, by reason."""
        return {reason: len(ids) for reason, ids in self.by_reason.items()}


@exclusive
def add_items(
    run: RunDir,
    source: Path,
    *,
    skip: bool = False,
    measure: bool = True,
    columns: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Add items to a trained model: as a whole or not at all, whatever happens meanwhile.

    Args:
        run: a finetuned run, or a folder written by ``CLLM4Rec.save``.
        source: Parquet, CSV or JSON lines: ``item_id``, ``title`` or ``text`` or both, attributes.
        skip: whether to leave out rows that cannot be added, and add the rest.
        measure: whether to measure `share_of_lists`, which loads the model.
        columns: standard column → its name in the file; None for ``data.columns`` of the run.

    Returns:
        ``added``, ``skipped`` by reason, ``same_text`` (items whose text the run has under another
        id: they get that item's scores), ``unread_columns`` (of no column of the run's items),
        ``items_added`` and ``items`` in all, what `share_of_lists` returns, ``seconds``.

    Raises:
        RunError: the run is not trained, or another process is at work in it.
        InputError: the run keeps nothing to place items by, the file cannot be read, or a row
            cannot be added: its id is there, its text is empty, too long, or without a word that
            the run knows.
        IntegrityError: a file of the model or its data has changed.
    """
    started_at_s = time.perf_counter()
    run.require_trained()
    with progress.task("Adding items", total=4, unit="step") as task:
        verified_record(run.path)
        placing, before = Placing.read(run.path), AddedItems.of(run.path)
        dataset = Dataset.open(run.path / "data")
        task.advance()
        rows, refused, unread = _read(source, dataset, placing.texts, columns)
        refusals = Refusals(refused)
        rows = _without_known(rows, dataset, before, refusals)
        rows = _without_unusable(rows, placing.texts, refusals)
        task.advance()
        found = _placed(rows, dataset, placing, refusals)
        if not skip:
            refusals.refuse(source)
        task.advance()
        every = found if before is None else before.merged(found)
        if len(found):
            _write(run, every)
            note_likely_slips(found.rows, dataset, NO_ROWS if before is None else before.rows)
        task.advance()
    measured = {}
    if measure and len(every):
        with progress.task("Loading the model"):
            recommender = Recommender.load(run.path)
        measured = share_of_lists(recommender)
    return {
        "added": len(found),
        "skipped": refusals.counts(),
        "same_text": int(found.same.sum()),
        "unread_columns": unread,
        **_totals(dataset, len(every)),
        **measured,
        "seconds": round(time.perf_counter() - started_at_s, 2),
    }


@exclusive
def remove_items(run: RunDir, ids: Sequence[str] | None) -> dict[str, Any]:
    """Remove items that were added; without any left, all is as before the first was added.

    Args:
        run: as of `add_items`.
        ids: of the items; None for all that were added.

    Returns:
        ``removed``, ``items_added`` and ``items`` in all.

    Raises:
        RunError: the run is not trained, or another process is at work in it.
        UnknownId: an item that was not added, and is not in the run.
        InputError: an item that the run was trained with.
    """
    run.require_trained()
    dataset, before = Dataset.open(run.path / "data"), None
    if ids is None:
        with suppress(IntegrityError):  # what is damaged can be removed too
            before = AddedItems.of(run.path)
        remove_all(run.path)
        return {"removed": 0 if before is None else len(before), **_totals(dataset, 0)}
    before = AddedItems.of(run.path)
    wanted = list(dict.fromkeys(id_list("items", ids)))
    places = {item_id: at for at, item_id in enumerate(before.rows.ids if before else [])}
    for item_id in wanted:
        if item_id in dataset.items:
            raise InputError(
                f"item {_named([item_id])} was not added: the run was trained with it; leave it "
                f"out of lists with --exclude, or out of the data and train again"
            )
        if item_id not in places:
            raise dataset.items.unknown(item_id, _not_added(len(places)))
    gone = {places[item_id] for item_id in wanted}
    kept = np.array(sorted(set(places.values()) - gone), np.int64)
    if before is not None and gone:
        if len(kept):
            _write(run, before.taken(kept))
        else:
            remove_all(run.path)
    return {"removed": len(gone), **_totals(dataset, len(kept))}


def share_of_lists(recommender: Recommender) -> dict[str, Any]:
    """How often added items are listed, beside how many there are.

    Returns:
        ``share_of_lists`` (of the places in the lists of some users), ``share_of_first_5`` (of the
        first five alone), ``share_of_items``, and the ``sample``: users and length of the lists.
    """
    dataset = recommender.dataset
    total, added = len(dataset.items), dataset.items.appended
    known = dataset.known("recommend")
    users = np.flatnonzero(known.counts())
    if len(users) > SAMPLE_USERS:
        draw = generator(recommender.config.seed, "share of added items")
        users = np.sort(draw.choice(users, SAMPLE_USERS, replace=False))
    k = min(LISTED, total)
    excluded = dataset.excluded.rows(users)
    request = ListRequest.of(users.astype(np.int32), known.rows(users), k, excluded=excluded)
    items = ranked(recommender.scorer, request).items

    def share(places: NDArray[np.integer]) -> float:
        listed = places[places >= 0]
        return round(float((listed >= total - added).mean()), 4) if len(listed) else 0.0

    return {
        "share_of_lists": share(items),
        f"share_of_first_{FIRST}": share(items[:, :FIRST]),
        "share_of_items": round(added / max(total, 1), 4),
        "sample": {"users": len(users), "k": k},
    }


def _read(
    source: Path, dataset: Dataset, texts: ItemTexts, columns: Mapping[str, str] | None
) -> tuple[ItemRows, dict[str, list[str]], list[str]]:
    config = DataConfig.model_validate(dataset.settings)
    if columns is not None:
        config = config.model_copy(update={"columns": dict(columns)})
    attributes = list(dataset.texts.item_attributes)
    features = list(dict.fromkeys([*texts.features, *dataset.texts.item_features]))
    return read_further_items(source, config, features, attributes)


def _without_known(
    rows: ItemRows, dataset: Dataset, before: AddedItems | None, refusals: Refusals
) -> ItemRows:
    there = set() if before is None else set(before.rows.ids)
    known = [item_id in dataset.items for item_id in rows.ids]
    added = [item_id in there for item_id in rows.ids]
    for reason, those in ((KNOWN, known), (ADDED, added)):
        refusals.add(reason, [rows.ids[at] for at, is_one in enumerate(those) if is_one])
    return rows.taken([at for at in range(len(rows)) if not (known[at] or added[at])])


def _without_unusable(rows: ItemRows, texts: ItemTexts, refusals: Refusals) -> ItemRows:
    words = rows.words(texts.features)
    sizes = [len(text.encode()) for text in words]
    bad = {
        NO_TEXT: [not text.strip() for text in words],
        TOO_LONG: [size > MOST_BYTES for size in sizes],
    }
    for reason, those in bad.items():
        refusals.add(reason, [rows.ids[at] for at, is_one in enumerate(those) if is_one])
    return rows.taken([at for at in range(len(rows)) if not any(each[at] for each in bad.values())])


def _placed(rows: ItemRows, dataset: Dataset, placing: Placing, refusals: Refusals) -> AddedItems:
    """The rows that have a place: a trained item's with the same text, or among neighbours."""
    texts, words = placing.texts, rows.words(placing.texts.features)
    known = np.flatnonzero(dataset.part("train").item_counts())
    with_text: dict[str, list[int]] = {}
    for number, text in enumerate(dataset.texts.described(texts.features)):
        with_text.setdefault(_plain(text), []).append(number)
    vectors = texts.vectors(words)
    neighbours = texts.neighbours(vectors, known, placing.rule)
    with_text.pop("", None)  # items without a word have no text in common
    twins = [with_text.get(_plain(text), []) for text in words]
    same = np.array([bool(each) for each in twins], bool)
    lines = [
        _mean_of(each, neighbours.shape[1]) if each else neighbours[at]
        for at, each in enumerate(twins)
    ]
    if lines:
        neighbours = vstack(lines, format="csr", dtype=np.float32)
    found = AddedItems(rows, neighbours, vectors, same)
    # A language model reads any script, and finds neighbours that mean nothing.
    known_words = same | texts.space.vectors(words).any(axis=1)
    has_place = known_words & (np.diff(neighbours.indptr) > 0)
    for at in np.flatnonzero(~has_place):
        otherwise = texts.space.cut_otherwise(words[at])
        refusals.add(CUT_OTHERWISE if otherwise else NO_WORD, [rows.ids[at]])
    return found.taken(np.flatnonzero(has_place))


def _mean_of(items: list[int], size: int) -> csr_matrix:
    values = np.full(len(items), 1 / len(items), np.float32)
    return csr_matrix((values, ([0] * len(items), items)), shape=(1, size))


def _write(run: RunDir, added: AddedItems) -> None:
    with replaced(run.path, model_sha256(run.path)) as folder:
        added.write(folder)


def _totals(dataset: Dataset, added: int) -> dict[str, int]:
    return {"items_added": added, "items": len(dataset.items) + added}


def _not_added(added: int) -> str:
    """Why an id cannot be removed, and how many can."""
    others = "1 item is" if added == 1 else f"{added:,} items are" if added else "none is"
    return f"no item of this id was added; {others}"


def _plain(text: str) -> str:
    """A text without capitals, punctuation and blanks."""
    return " ".join(words_of(text.casefold(), least=1))


def _named(ids: Sequence[str]) -> str:
    """Some ids as a message shows them, and how many more there are."""
    if not any(ids):
        return f"{len(ids):,} row" + "s" * (len(ids) > 1)
    shown = [repr(each) if len(each) <= 40 else repr(each[:39] + "…") for each in ids[:NAMED]]
    more = len(ids) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
