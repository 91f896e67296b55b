"""The metrics log of a run: one JSON object per line."""

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from cllm4rec.run.files import atomic_write
from cllm4rec.run.processes import is_main


class MetricsLog:
    """``metrics.jsonl`` in a run's folder, written by the main process.

    Attributes:
        path: of the run.
    """

    path: Path

    @property
    def _log(self) -> Path:
        return self.path / "metrics.jsonl"

    def begin_log(self, *stages: str) -> None:
        """Drop the lines of stages that start afresh; in the main process."""
        rows = self.metrics() if is_main() else []
        kept = [row for row in rows if row.get("stage") not in stages]
        if len(kept) < len(rows):
            with atomic_write(self._log) as temporary:
                temporary.write_text("".join(map(_json_line, kept)), encoding="utf-8")

    def log_metrics(self, **row: Any) -> None:
        """Append one line to ``metrics.jsonl``, in the main process.

        Raises:
            ValueError: a number is not finite, here or inside a nested dictionary.
        """
        _refuse_non_finite(row)
        if not is_main():
            return
        with self._log.open("ab+") as log:
            # A killed process may have left half a line; start a new one.
            if log.seek(0, os.SEEK_END) and log.seek(-1, os.SEEK_END) >= 0 and log.read(1) != b"\n":
                log.write(b"\n")
            log.write(_json_line(row).encode())
            log.flush()

    def log_size(self) -> int:
        """Size of ``metrics.jsonl`` in bytes, for :meth:`cut_log`; 0 without such a file."""
        return self._log.stat().st_size if self._log.is_file() else 0

    def cut_log(self, size: int) -> None:
        """Truncate the log to its size at a checkpoint; resuming logs the later steps again.

        Args:
            size: of the log at the checkpoint; a shorter log is unchanged.
        """
        if is_main() and size < self.log_size():
            os.truncate(self._log, size)

    def metrics(self) -> list[dict[str, Any]]:
        """All complete lines of ``metrics.jsonl``, oldest first; empty without such a file."""
        rows: list[dict[str, Any]] = []
        if self._log.is_file():
            for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(json.JSONDecodeError):
                    row = json.loads(line)
                    if isinstance(row, dict):
                        rows.append(row)
        return rows


def _json_line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=True, allow_nan=False) + "\n"


def _refuse_non_finite(row: dict[str, Any], place: str = "") -> None:
    for key, value in row.items():
        if isinstance(value, dict):
            _refuse_non_finite(value, f"{place}{key}.")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"metric {place}{key} is {value}: only finite numbers are logged")
