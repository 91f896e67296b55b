"""What of added items is likely a slip of their file; it is said, and never with an id."""

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.item_rows import ItemRows
from cllm4rec.data.spellings import respelled


def note_likely_slips(rows: ItemRows, dataset: Dataset, before: ItemRows) -> None:
    """Say what is likely meant otherwise: ids in another spelling.

    Args:
        rows: the items that are added.
        dataset: what the run was trained with.
        before: the items that were added before.
    """
    if count := respelled(rows.ids, dataset.items.with_appended(before.ids).external):
        progress.note(
            f"{count:,} of {len(rows):,} added items have another item's id but for leading zeros "
            f"or .0 at the end, and count as new ones; if they are not, remove them and read ids "
            f"as text, in pandas with dtype=str"
        )
