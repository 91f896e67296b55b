"""add-items, remove-items: items that come with a text alone, placed at once, without training."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from cllm4rec.stages.refusals import (
    ADDED,
    CUT_OTHERWISE,
    KNOWN,
    MOST_BYTES,
    NO_TEXT,
    NO_WORD,
    TOO_LONG,
    Refusals,
    named,
)

SAMPLE_USERS, LISTED = 500, 20
"""Lists in which the share of added items is measured, and their length."""


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
    with progress.task("Checking the run", total=2, unit="step") as task:
        verified_record(run.path)
        task.advance()
        placing, before = Placing.read(run.path), AddedItems.of(run.path)
        dataset = Dataset.open(run.path / "data")
        task.advance()
    with progress.task("Checking the new items", total=3, unit="step") as task:
        rows, refused, unread = _read(source, dataset, placing.texts, columns)
        task.advance()
        refusals, count = Refusals(refused), len(rows) + sum(map(len, refused.values()))
        rows = _without_known(rows, dataset, before, refusals)
        rows = _without_unusable(rows, placing.texts, refusals)
        task.advance()
        recognised = _recognised(rows, dataset, placing.texts, refusals)
        task.advance()
    # Before a language model reads, which takes minutes where there are thousands.
    if skip:
        refusals.note(count)
    else:
        refusals.refuse(source)
    found = _placed(recognised, dataset, placing, refusals)
    if not skip:
        refusals.refuse(source)
    every = found if before is None else before.merged(found)
    if len(found):
        with progress.task("Writing the added items"):
            _write(run, every)
        note_likely_slips(found.rows, dataset, NO_ROWS if before is None else before.rows)
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
                f"item {named([item_id])} was not added: the run was trained with it; leave it "
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


@dataclass(frozen=True, slots=True, eq=False)
class _Recognised:
    """Rows of which the run knows a word, or the whole text.

    Attributes:
        rows: they.
        twins: numbers of the trained items with the same text, per row.
        in_space: vectors of their words, ``float32 [rows, d]``.
    """

    rows: ItemRows
    twins: list[list[int]]
    in_space: NDArray[np.float32]


def _recognised(
    rows: ItemRows, dataset: Dataset, texts: ItemTexts, refusals: Refusals
) -> _Recognised:
    words = rows.words(texts.features)
    twins = _twins(rows, dataset, texts.features)
    in_space = texts.space.vectors(words)
    # A language model reads any script, and finds neighbours that mean nothing.
    known_words = np.array(list(map(bool, twins)), bool) | in_space.any(axis=1)
    kept = _with_place(rows, words, known_words, texts, refusals)
    return _Recognised(rows.taken(kept.tolist()), [twins[at] for at in kept], in_space[kept])


def _twins(rows: ItemRows, dataset: Dataset, features: Sequence[str]) -> list[list[int]]:
    """Trained items with the same text; of a row without features, the same title and text."""
    twins = _same_words(rows.words(features), dataset.texts.described(features))
    if not features:
        return twins
    bare = _same_words(rows.words(()), dataset.texts.described(()))
    given = [any(values) for values in zip(*map(rows.feature, features), strict=True)]
    return [
        twin or ([] if has_any else same)
        for twin, same, has_any in zip(twins, bare, given, strict=True)
    ]


def _same_words(words: Sequence[str], known: Sequence[str]) -> list[list[int]]:
    """Places among the known texts of those that are the same, per text."""
    places: dict[str, list[int]] = {}
    for place, text in enumerate(known):
        places.setdefault(_plain(text), []).append(place)
    places.pop("", None)  # items without a word have no text in common
    return [places.get(_plain(text), []) for text in words]


def _placed(
    recognised: _Recognised, dataset: Dataset, placing: Placing, refusals: Refusals
) -> AddedItems:
    """The rows that have a place: a trained item's with the same text, or among neighbours."""
    rows, twins, texts = recognised.rows, recognised.twins, placing.texts
    known = np.flatnonzero(dataset.part("train").item_counts())
    words = rows.words(texts.features)
    vectors = texts.vectors(words, recognised.in_space)
    same = np.array(list(map(bool, twins)), bool)
    others, those = np.flatnonzero(~same), np.flatnonzero(same)
    near = texts.neighbours(vectors[others], known, placing.rule)
    means = _means([twins[at] for at in those], near.shape[1])
    order = np.argsort(np.concatenate([others, those]))
    neighbours = vstack([near, means], format="csr", dtype=np.float32)[order]
    found = AddedItems(rows, neighbours, vectors, same)
    return found.taken(_with_place(rows, words, np.diff(neighbours.indptr) > 0, texts, refusals))


def _with_place(
    rows: ItemRows,
    words: list[str],
    has_place: NDArray[np.bool_],
    texts: ItemTexts,
    refusals: Refusals,
) -> NDArray[np.int64]:
    for at in np.flatnonzero(~has_place):
        otherwise = texts.space.cut_otherwise(words[at])
        refusals.add(CUT_OTHERWISE if otherwise else NO_WORD, [rows.ids[at]])
    return np.flatnonzero(has_place)


def _means(items: list[list[int]], size: int) -> csr_matrix:
    """Each row the mean of some items, ``float32 [rows, size]``."""
    counts = np.array(list(map(len, items)), np.int64)
    columns = np.array([item for each in items for item in each], np.int64)
    values = np.repeat(1 / counts, counts).astype(np.float32)
    ends = np.concatenate([[0], np.cumsum(counts)])
    return csr_matrix((values, columns, ends), shape=(len(items), size))


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
