"""A log whose order is all there is to know: the next item is a function of the last one."""

from pathlib import Path

import numpy as np

from support.input_folder import write_rows


def write_planted_order(
    folder: Path, *, users: int = 200, items: int = 40, each: int = 9, seed: int = 0
) -> dict[str, str]:
    """Write ``interactions`` and ``items``; everyone follows one ring of all items from anywhere.

    All items are equally popular, and as a set a history says that the item before its first is as
    likely as the item after its last.

    Returns:
        Item id → id of the item that always follows it.
    """
    rng = np.random.default_rng(seed)
    ring = rng.permutation(items).tolist()
    rows = [
        {
            "user_id": f"u{user:03}",
            "item_id": f"i{ring[(start + place) % items]:02}",
            "timestamp": 1000 * user + place,
        }
        for user, start in enumerate(rng.integers(items, size=users).tolist())
        for place in range(each)
    ]
    write_rows(folder, "interactions", rows)
    write_rows(folder, "items", [{"item_id": f"i{n:02}", "title": "toy"} for n in range(items)])
    return {f"i{ring[place - 1]:02}": f"i{item:02}" for place, item in enumerate(ring)}
