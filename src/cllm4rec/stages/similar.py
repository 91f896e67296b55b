"""similar: an item's nearest neighbours in the model."""

from collections.abc import Sequence
from typing import Any

from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.ranking import list_length
from cllm4rec.recommender.added import open_catalogue
from cllm4rec.recommender.arguments import id_list
from cllm4rec.recommender.catalogue import Catalogue
from cllm4rec.recommender.intact import verified_record
from cllm4rec.recommender.similar import By, similar_by
from cllm4rec.run import RunDir


def similar(run: RunDir, items: Sequence[str], *, k: int = 10, by: By = "model") -> dict[str, Any]:
    """The nearest neighbours of items, by cosine.

    Args:
        run: a finetuned run, or a folder written by ``CLLM4Rec.save``.
        items: external ids; duplicates are ignored.
        k: length of each list; at most the catalogue's size.
        by: what is compared; see `similar_by`.

    Returns:
        ``k``, and in ``similar`` one list per item, nearest first.

    Raises:
        RunError: the run is not trained.
        IntegrityError: a file of the model or its data has changed.
        UnknownId: none of the items is known; some unknown ones are left aside with a note.
        InputError: ``k`` is not positive, ``items`` is no list, there are no texts to compare, or
            the only item has nothing to be compared by.
    """
    items = id_list("items", items)
    run.require_trained()
    verified_record(run.path)
    dataset, added = open_catalogue(run.path)
    catalogue = Catalogue(dataset)
    k = list_length(k, len(dataset.items))
    known = [item_id for item_id in items if item_id in dataset.items]
    wanted = dict(zip(known, catalogue.item_numbers(known or items), strict=True))
    if (note := catalogue.unknown_note(items, "asked for")) is not None:
        progress.note(note)
    neighbours = similar_by(by, run.path, dataset, added)
    found: dict[str, list[dict[str, Any]]] = {}
    for item_id, number in wanted.items():
        try:
            nearest = zip(*neighbours.to(number, k), strict=True)
        except InputError as error:
            if len(wanted) == 1:
                raise
            progress.note(f"item {len(found) + 1} of {len(wanted)}: {error}")
            found[item_id] = []
            continue
        found[item_id] = [
            {"rank": rank, **catalogue.named(item), "score": score}
            for rank, (item, score) in enumerate(nearest, start=1)
        ]
    return {"k": k, "similar": found}
