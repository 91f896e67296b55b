"""What users had since the training, from feedback, until the next one."""

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MOST_ROWS = 1_000_000
"""Most rows in memory; users without recent feedback are dropped first."""
MOST_ITEMS = 200
"""Newest items kept per user; models read fewer."""

_COLUMNS = {"user_id": str, "item_id": str, "timestamp": int}


class FeedbackHistories:
    """Histories from the feedback log, in memory."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[int, str]]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def read(self, log: Path) -> None:
        """Read a feedback log; invalid lines are skipped."""
        with log.open("rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                    row = {name: row[name] for name in _COLUMNS}
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
                if all(type(row[name]) is kind for name, kind in _COLUMNS.items()):
                    self.add([row])

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of the feedback log."""
        with self._lock:
            for row in rows:
                # Popped and reinserted, so that the dictionary is in order of latest feedback.
                history = self._rows.pop(row["user_id"], [])
                self._count += 1
                if len(history) == MOST_ITEMS:
                    history.remove(min(history, key=_time))
                    self._count -= 1
                history.append((row["timestamp"], row["item_id"]))
                self._rows[row["user_id"]] = history
            while self._count > MOST_ROWS:
                dropped = self._rows.pop(next(iter(self._rows)))
                self._count -= len(dropped)

    def histories(self, user_ids: Iterable[str]) -> dict[str, list[str]]:
        """Item ids, oldest first, of those ``user_ids`` that have feedback."""
        found = {}
        for user_id in user_ids:
            if user_id in self._rows:
                with self._lock:
                    history = sorted(self._rows.get(user_id, ()), key=_time)
                found[user_id] = [item_id for _, item_id in history]
        return found


def _time(row: tuple[int, str]) -> int:
    return row[0]
