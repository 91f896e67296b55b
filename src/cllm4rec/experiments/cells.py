"""Cells: one model or baseline on one data set with one seed, and its result files.

DIR/cells/<data set>/<model>/<seed>/
  begun.json         what it is made of; an attempt with anything else is discarded
  run/               the model's run directory while it trains; removed when the cell is done
  topk.parquet       lists of the test part, and one more file for each half of a blend
  config.toml  metrics.jsonl   a model's settings and log
  cell.json          last: the cell is done, and what it depended on
  refit/             the same files of a training on the validation part too, nothing chosen again
"""

import functools
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cllm4rec import progress
from cllm4rec.baselines import Baseline, baseline_named
from cllm4rec.config import Config, Measure, reported_measures, resolve
from cllm4rec.config.naming import is_papers_method, model_name
from cllm4rec.errors import CLLM4RecError, ConfigError, IntegrityError
from cllm4rec.experiments.data import PreparedData, identity_of
from cllm4rec.experiments.plan import REFIT, Plan
from cllm4rec.models.pretrained import find_backbone, fingerprint
from cllm4rec.run import make_folder, read_json, write_json

FORMAT = 2
"""Format number of cells; cells of another format are recomputed."""
PATIENCE_S = 10.0
"""Seconds to wait for another process that computes the same cell."""
_found_once = functools.cache(find_backbone)
"""A table looks at hundreds of cells, and the model hub would be asked for each."""
NOT_A_MODELS = {"data", "device", "device_tokens", "evaluate", "preset", "threads"}
"""Sections of the settings that do not affect the lists once the data are prepared."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One computation; sent to the process that runs it.

    Attributes:
        dataset: name in the plan.
        model: name in the plan, of a model or a baseline.
        seed: of every random draw.
        config: a model's settings; None for a baseline.
        folder: of its result files.
        data: folder of the prepared data.
        data_sha256: over the prepared files.
        selection: measures that choose everything on validation.
        keep_run: whether to keep a model's run directory.
        given: a baseline's settings.
        chosen: what validation chose in the cell that this one fits again on training and
            validation part; None for a cell that chooses.
    """

    dataset: str
    model: str
    seed: int
    config: Config | None
    folder: Path
    data: Path
    data_sha256: str
    selection: tuple[Measure, ...]
    keep_run: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Any] | None = None

    @property
    def baseline(self) -> Baseline:
        """What is fitted where there is no ``config``."""
        return baseline_named(self.model, self.given)

    @property
    def backbone(self) -> str | None:
        """Name of the language model that is trained or reads; None if there is none."""
        return self.baseline.backbone if self.config is None else self.config.backbone.name

    @property
    def row(self) -> str:
        """Name in the table: the model's, and whether it was fitted again."""
        return self.model if self.chosen is None else f"{self.model}{REFIT}"

    @property
    def label(self) -> str:
        """For messages: ``data set · model · seed 0``."""
        return f"{self.dataset} · {self.row} · seed {self.seed}"

    def refit(self, record: Mapping[str, Any]) -> "Cell":
        """The cell that is fitted again as this one, finished with that record, chose."""
        return replace(self, folder=self.folder / "refit", chosen=record["chosen"])

    def settings(self, num_items: int) -> dict[str, Any]:
        """Everything that the lists depend on besides the data, as JSON.

        Args:
            num_items: size of the catalogue; a baseline's grid depends on it.
        """
        found: dict[str, Any] = {"selection": list(self.selection)}
        if self.chosen is not None:
            found["chosen"] = dict(self.chosen)
        if self.config is not None:
            # Defaults left out: a setting that a later version adds leaves finished cells valid.
            given = self.config.model_dump(mode="json", exclude=NOT_A_MODELS, exclude_defaults=True)
            return given | found
        given = {"given": dict(self.given)} if self.given else {}
        return {"seed": self.seed, "grid": self.baseline.grid(num_items), **given, **found}

    def identity(self, num_items: int) -> str:
        """sha256 of everything the lists depend on, but for the backbone's files."""
        return identity_of(FORMAT, self.model, self.settings(num_items), self.data_sha256)

    def made_of(self, num_items: int) -> dict[str, str]:
        """`identity`, and ``backbone_sha256``, of the backbone's files, if there is a backbone.

        Apart from each other: cells that were finished before the files were hashed hold.

        Raises:
            InputError: the backbone cannot be found.
            IntegrityError: its cached files have changed.
        """
        found = {"identity": self.identity(num_items)}
        if self.backbone is not None:
            find = find_backbone if Path(self.backbone).is_dir() else _found_once
            found["backbone_sha256"] = fingerprint(find(self.backbone))
        return found


def cells_of(plan: Plan, data: PreparedData, out: Path) -> list[Cell]:
    """Every cell of one data set, seed by seed; a baseline that draws nothing has one seed.

    Raises:
        ConfigError: a model is called after the paper and is not trained by its method.
    """
    cells = []
    newest, new_items = data.dataset.newest_held_out, data.dataset.new_items_held_out
    selection = plan.selection or reported_measures(newest_held_out=newest, new_items=new_items)
    for seed in plan.seeds:
        names = [
            name
            for name in plan.baselines
            if seed == plan.seeds[0]
            or baseline_named(name, plan.baseline_settings.get(name)).draws_at_random
        ]
        for name in [*names, *plan.models]:
            config = None
            if name in plan.models:
                config = resolve(
                    plan.model_request(data.name, name, seed),
                    newest_held_out=newest,
                    new_items=new_items,
                ).changed(evaluate={"selection": selection})
                if name.casefold().startswith("cllm4rec") and not is_papers_method(config):
                    raise ConfigError(
                        f"model {name!r} of the plan: {data.name} is trained without the paper's "
                        f"method (user tokens, content LLM, mutual regularisation); name it "
                        f"{model_name(config)!r}, say, or take config = 'paper'"
                    )
            cells.append(
                Cell(
                    data.name,
                    name,
                    seed,
                    config,
                    (out / "cells" / data.name / name / str(seed)).absolute(),
                    data.folder.absolute(),
                    data.sha256,
                    tuple(selection),
                    plan.keep_runs,
                    plan.baseline_settings.get(name, {}),
                )
            )
    return cells


def finished(cell: Cell, num_items: int, *, say: bool = False) -> dict[str, Any] | None:
    """The cell's result if it was computed from the same settings, data and backbone, or None.

    A result without a hash of the backbone is taken for one of today's, as is any whose backbone
    cannot be found: to compute it again takes hours, or is not possible.

    Args:
        cell: to look up.
        num_items: size of its catalogue.
        say: report a cell that was computed from others.

    Raises:
        IntegrityError: one of the lists of a finished cell is missing.
    """
    path = cell.folder / "cell.json"
    if not path.is_file():
        return None
    record: dict[str, Any] = read_json(path)
    if (why := _difference(record, cell, num_items)) is not None:
        if say:
            progress.note(f"{cell.label}: computed before from other {why}; computing it again")
        return None
    for name in record["lists"].values():
        if not (cell.folder / name).is_file():
            raise IntegrityError(f"{cell.folder / name} is missing; remove {path} to compute anew")
    return record


def begin(cell: Cell, made_of: Mapping[str, str]) -> bool:
    """Prepare the cell's folder; leftovers of an attempt made of anything else are removed.

    Args:
        cell: to compute.
        made_of: of `Cell.made_of`.

    Returns:
        Whether to resume an interrupted attempt with the same settings, data and backbone.
    """
    begun = cell.folder / "begun.json"
    # An attempt of before backbones were hashed goes on: a run's stages know theirs.
    if begun.is_file() and {**made_of, **read_json(begun)} == made_of:
        return True
    shutil.rmtree(cell.folder, ignore_errors=True)
    write_json(begun, dict(made_of))
    return False


@contextmanager
def claimed(cell: Cell) -> Iterator[bool]:
    """Whether this process alone may compute the cell; it may until the block ends or it dies."""
    make_folder(cell.folder.parent)
    # The process of a bench just killed gets some seconds to end.
    lock = FileLock(cell.folder.parent / f".{cell.seed}.lock", timeout=PATIENCE_S)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _difference(record: Mapping[str, Any], cell: Cell, num_items: int) -> str | None:
    """In what a cell differs from a record; None if in nothing."""
    if record.get("identity") != cell.identity(num_items):
        return _other_setting(record.get("settings", {}), cell.settings(num_items)) or "data"
    if (before := record.get("backbone_sha256")) is None:
        return None
    try:
        now = cell.made_of(num_items).get("backbone_sha256")
    except CLLM4RecError:
        return None
    return None if now == before else f"files of the backbone {cell.backbone}"


def _other_setting(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The first setting that differs, with both values; None if none does."""
    before, now = _flat(old), _flat(new)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            return f"settings ({key} was {before.get(key)!r}, is {now.get(key)!r})"
    return None


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
