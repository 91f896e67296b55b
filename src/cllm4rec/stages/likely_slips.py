"""What of added items is likely a slip of their file; it is said, and never with an id."""

import re

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.input_file import DECIMAL_COMMA
from cllm4rec.data.item_rows import ItemRows
from cllm4rec.data.spellings import respelled
from cllm4rec.recommender.scales import Scale


def note_likely_slips(rows: ItemRows, dataset: Dataset, before: ItemRows) -> None:
    """Say what is likely meant otherwise: ids in another spelling, decimal commas among numbers.

    Args:
        rows: the items that are added.
        dataset: what the run was trained with.
        before: the items that were added before.
    """
    if count := respelled(rows.ids, dataset.items.with_appended(before.ids).external):
        progress.note(
            f"{count:,} of {len(rows):,} added items have another item's id but for blanks, "
            f"capitals, leading zeros or .0 at the end, and count as new ones; if they are not, "
            f"remove them and write ids alike (in pandas, read them as text with dtype=str)"
        )
    commas = {name: sum(map(_has_comma, column)) for name, column in rows.attributes.items()}
    if not any(commas.values()):
        return
    trained = dataset.texts.item_attributes
    for name, count in commas.items():
        if not count or (scale := Scale.of(trained[name])) is None or scale.kind != "number":
            continue
        progress.note(
            f"column {name!r} has decimal commas in {count:,} of {len(rows):,} added items, and "
            f"numbers in the others of the run: write a decimal point, or no range finds them"
        )


def _has_comma(values: list[str] | None) -> bool:
    return (
        values is not None
        and len(values) == 1
        and re.fullmatch(DECIMAL_COMMA, values[0].strip(), re.ASCII) is not None
    )
