"""The paper protocol written out in plain Python: for each user, sort by md5 and count off."""

from collections.abc import Iterable
from hashlib import md5


def paper_split(pairs: Iterable[tuple[str, str]], seed: int) -> dict[tuple[str, str], str]:
    """Part of every (user id, item id); a tenth of a user's pairs per held part."""
    by_user: dict[str, list[str]] = {}
    for user_id, item_id in pairs:
        by_user.setdefault(user_id, []).append(item_id)
    parts = {}
    for user_id, item_ids in by_user.items():
        shuffled = sorted(item_ids, key=lambda item_id: (_draw(seed, user_id, item_id), item_id))
        held = max(1, round(len(item_ids) / 10))
        for place, item_id in enumerate(shuffled):
            part = "test" if place < held else "valid" if place < 2 * held else "train"
            if len(item_ids) == 1 or (len(item_ids) == 2 and part == "valid"):
                part = "train"
            parts[user_id, item_id] = part
    return parts


def _draw(seed: int, user_id: str, item_id: str) -> int:
    keys = _hex(f"{seed}:user:{user_id}") + _hex(f"{seed}:item:{item_id}")
    # DuckDB's md5_number_lower: the second half of the digest, least significant byte first.
    return int.from_bytes(md5(keys.encode()).digest()[8:], "little")


def _hex(text: str) -> str:
    return md5(text.encode()).hexdigest()
