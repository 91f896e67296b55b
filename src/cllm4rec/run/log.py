"""The metrics log of a run: one JSON object per line.

``metrics.jsonl`` is the log of the model, or of a run's first training. Where there is a model,
another training writes ``checkpoints/metrics.jsonl``, which takes its place with the new model.
"""

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from cllm4rec.run.files import atomic_write, make_folder
from cllm4rec.run.processes import is_main

LOGGED = ("pretrain", "finetune")
"""Stages that write lines."""


class MetricsLog:
    """``metrics.jsonl`` in a run's folder, written by the main process.

    Attributes:
        path: of the run.
    """

    path: Path

    @property
    def _log(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def _begun(self) -> Path:
        """Of a training that has begun beside a model."""
        return self.path / "checkpoints" / "metrics.jsonl"

    @property
    def _written(self) -> Path:
        return self._begun if self._begun.is_file() else self._log

    def is_done(self, stage: str) -> bool:
        """Whether the run has the result of a stage."""
        raise NotImplementedError

    def begin_log(self, *stages: str) -> None:
        """Drop the lines of stages that start afresh; in the main process.

        Those of a model stay until :meth:`end_log`.
        """
        if not is_main():
            return
        rows = _rows(self._written)
        kept = [row for row in rows if row.get("stage") not in stages]
        beside = self.is_done("finetune")
        if beside:
            make_folder(self._begun.parent)
        else:
            self._begun.unlink(missing_ok=True)
        if beside or len(kept) < len(rows):
            with atomic_write(self._begun if beside else self._log) as temporary:
                temporary.write_text("".join(map(_json_line, kept)), encoding="utf-8")

    def end_log(self) -> None:
        """A training is done: its log is the model's; in the main process."""
        if is_main() and self._begun.is_file():
            os.replace(self._begun, self._log)

    def log_metrics(self, **row: Any) -> None:
        """Append one line to the log of the training, in the main process.

        Raises:
            ValueError: a number is not finite, here or inside a nested dictionary.
        """
        _refuse_non_finite(row)
        if not is_main():
            return
        with self._written.open("ab+") as log:
            # A killed process may have left half a line; start a new one.
            if log.seek(0, os.SEEK_END) and log.seek(-1, os.SEEK_END) >= 0 and log.read(1) != b"\n":
                log.write(b"\n")
            log.write(_json_line(row).encode())
            log.flush()

    def log_size(self) -> int:
        """Size of the training's log in bytes, for :meth:`cut_log`; 0 without such a file."""
        return self._written.stat().st_size if self._written.is_file() else 0

    def cut_log(self, size: int) -> None:
        """Truncate the log to its size at a checkpoint; resuming logs the later steps again.

        Args:
            size: of the log at the checkpoint; a shorter log is unchanged.
        """
        if is_main() and size < self.log_size():
            os.truncate(self._written, size)

    def metrics(self) -> list[dict[str, Any]]:
        """All complete lines of ``metrics.jsonl``, oldest first; empty without such a file.

        Those of the model, or of a first training under way.
        """
        return _rows(self._log)


def _rows(log: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if log.is_file():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
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
