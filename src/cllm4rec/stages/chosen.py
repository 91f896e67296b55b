"""What validation chose in one run, for another that is trained on more and chooses nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cllm4rec.config import read_config
from cllm4rec.ensemble.lengths import ByLength
from cllm4rec.ensemble.linear import wrong_setting
from cllm4rec.errors import IntegrityError
from cllm4rec.run import RunDir, read_json, write_json
from cllm4rec.run.manifest import MEND
from cllm4rec.start.search import CHOSEN

FILE = "chosen.json"
"""Beside the prepared data: stages depend on it as they do on them."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The choices of a finished training.

    Attributes:
        start: settings of the initial vectors.
        linear: settings of the linear model; None without one.
        epoch: the best one; 0 is before finetuning.
        blend: weight of the linear model.
        blend_by_length: weights after few items, as `ByLength.of` takes them.
    """

    start: dict[str, float]
    linear: dict[str, Any] | None
    epoch: int
    blend: float
    blend_by_length: list[list[float]] | None = None

    @classmethod
    def by(cls, run: RunDir) -> "Chosen":
        """Those of a run.

        Raises:
            RunError: it is not trained.
            IntegrityError: what it recorded was edited, and is no choice.
        """
        trained = run.info("finetune")
        if read_config(run.file("config.toml")).model.warm_start == "factors":
            missing = [name for name in CHOSEN if name not in trained["start"]]
            trained.refuse("start", missing[0] if missing else None)
        if trained["linear"] is not None:
            trained.refuse("linear", wrong_setting(trained["linear"]))
        by_length = trained.get("blend_by_length")
        ByLength.recorded(by_length, trained.place, MEND)
        own = trained["start"], trained["linear"], trained["best_epoch"], trained["blend"]
        return cls(*own, by_length)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Chosen":
        """Those that a bench noted of a model."""
        return cls(
            record["start"],
            record["linear_model"],
            record["best_epoch"],
            record["blend"],
            record.get("blend_by_length"),
        )

    @classmethod
    def before(cls, run: RunDir) -> "Chosen | None":
        """Those that a run was given by `refit`; None if it chooses itself.

        Raises:
            IntegrityError: the file does not hold them.
        """
        path = run.file("data", FILE)
        if not path.is_file():
            return None
        try:
            return cls(**read_json(path))
        except TypeError:
            raise IntegrityError(f"{path} does not hold what was chosen; run refit again") from None

    def write(self, folder: Path) -> None:
        """Write them beside prepared data."""
        write_json(folder / FILE, asdict(self))
