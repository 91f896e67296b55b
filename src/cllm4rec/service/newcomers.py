"""Histories of users who are known from feedback alone, until a training knows them."""

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cllm4rec.data.ids import IdMap

MOST_ROWS = 1_000_000
"""Rows that are held in all; whoever gave none for the longest time is forgotten first."""
MOST_ITEMS = 200
"""Newest items that are held of one user; models read fewer."""


class Newcomers:
    """What the feedback log says of users, in memory."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[int, str]]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def read(self, log: Path) -> None:
        """Take over what a feedback log holds; lines that are no feedback are passed over."""
        with log.open("rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                    row = {name: row[name] for name in ("user_id", "item_id", "timestamp")}
                except (ValueError, KeyError, TypeError):
                    continue
                self.add([row])

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Note what happened, as rows of the feedback log."""
        with self._lock:
            for row in rows:
                # Taken out and put back: the dictionary's order is that of the latest feedback.
                held = self._rows.pop(row["user_id"], [])
                self._count += 1
                if len(held) == MOST_ITEMS:
                    held.remove(min(held, key=_time))
                    self._count -= 1
                held.append((row["timestamp"], row["item_id"]))
                self._rows[row["user_id"]] = held
            while self._count > MOST_ROWS:
                forgotten = self._rows.pop(next(iter(self._rows)))
                self._count -= len(forgotten)

    def histories(
        self, user_ids: Iterable[str], users: IdMap, items: IdMap
    ) -> dict[str, list[str]]:
        """Item ids, oldest first, of those of some users whom a model does not know.

        Args:
            user_ids: any users.
            users: whom the model knows; its own data say what those have had.
            items: its catalogue; others are left out.
        """
        found = {}
        for user_id in user_ids:
            if user_id in self._rows and user_id not in users:
                with self._lock:
                    held = sorted(self._rows.get(user_id, ()), key=_time)
                known = [item_id for _, item_id in held if item_id in items]
                if known:
                    found[user_id] = known
        return found


def _time(row: tuple[int, str]) -> int:
    return row[0]
