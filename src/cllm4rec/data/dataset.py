"""Dataset: prepared data, opened."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from cllm4rec import progress
from cllm4rec.config import DataConfig, Protocol, possible, request_of
from cllm4rec.data.arguments import one_of, path_of, seed_of
from cllm4rec.data.arrays import open_array
from cllm4rec.data.checks import PARTS, REPEATED_PAIR
from cllm4rec.data.excluded import open_excluded
from cllm4rec.data.frames import input_directory, is_frame
from cllm4rec.data.ids import IdMap
from cllm4rec.data.ingest import SETTINGS, prepare
from cllm4rec.data.interactions import Interactions
from cllm4rec.data.item_rows import ItemRows
from cllm4rec.data.left_out import LeftOut
from cllm4rec.data.split import MOST_USERS
from cllm4rec.data.texts import ATTRIBUTES, Texts
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.run import read_json, refuse_inside_run

Part = Literal["train", "valid", "test", "history"]
"""``history``: known when a recommendation is made, trained on by `refit` alone (new users)."""

Asked = Literal["valid", "test", "recommend"]

_KNOWN: dict[Asked, tuple[Part, ...]] = {
    "valid": ("train", "history"),
    "test": ("train", "history", "valid"),
    "recommend": ("train", "history", "valid", "test"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Numbered users, items, interactions in parts, and texts; see `load`, `open`.

    Attributes:
        users: user ids ↔ numbers.
        items: item ids ↔ numbers.
        texts: titles, texts, features, reviews of training pairs.
        folder: where the prepared files are.
        interactions: all parts together, memory-mapped, in time order within a user.
        part_codes: ``uint8[n]``, each interaction's place in ``train, valid, test, history``.
        excluded: items that a user has had and that are in no part, memory-mapped: rated low, not
            in the split file, left out by the protocol. No model sees them, and no list has them.
    """

    users: IdMap
    items: IdMap
    texts: Texts
    folder: Path
    interactions: Interactions
    part_codes: NDArray[np.uint8]
    excluded: Interactions

    def __repr__(self) -> str:
        """Counts alone: a notebook or a log shows it, and ids belong in neither."""
        return f"Dataset({len(self.users)} users, {len(self.items)} items)"

    @classmethod
    def open(cls, folder: str | Path) -> "Dataset":
        """Open prepared data, memory-mapped.

        Raises:
            IntegrityError: a file is missing or does not fit the others.
        """
        folder = path_of("folder", folder)
        report = read_json(folder / "report.json")
        if not (folder / ATTRIBUTES).is_file():
            raise IntegrityError(f"{folder / ATTRIBUTES} is missing; prepare the data again")
        users = IdMap.read(folder / "users.parquet", "user_id")
        items = IdMap.read(folder / "items.parquet", "item_id")
        offsets, numbers, codes = (
            open_array(folder / f"{name}.npy") for name in ("offsets", "items", "parts")
        )
        interactions = Interactions(offsets, numbers, len(items))
        excluded = open_excluded(folder, report, len(users), len(items))
        fits = len(codes) == len(numbers) and all(
            len(each.offsets) == len(users) + 1 and each.offsets[-1] == len(each)
            for each in (interactions, excluded)
        )
        if not fits:
            raise IntegrityError(
                f"the files in {folder} do not fit together; prepare the data again"
            )
        return cls(users, items, Texts.of(folder), folder, interactions, codes, excluded)

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        split: str | Path | None = None,
        protocol: Protocol = "paper",
        config: DataConfig | Mapping[str, Any] | None = None,
        seed: int = 0,
        folder: str | Path | None = None,
    ) -> "Dataset":
        """Prepare a log or an input directory and open the result.

        A note on standard error counts refused rows of the log; `report` has all.

        Args:
            source: a file of interactions; or a folder of ``interactions.*``, one file or several,
                and optional ``items.*, users.*, reviews.*``.
            split: a split file (``user_id, item_id, part``), authoritative where given.
            protocol: otherwise, how to split.
            config: how to read the files, a `DataConfig` or a dictionary of its values, such as
                ``{"columns": {"user_id": "reviewerID"}}``; None takes the defaults.
            seed: of the protocol's random draws.
            folder: where the prepared files go; None takes a folder that is removed at exit.

        Raises:
            InputError: the input cannot be used; the message says what to mend.
            ConfigError: ``config`` has a value that does not exist or is out of range.
        """
        source, seed = path_of("source", source), seed_of(seed)
        split = None if split is None else path_of("split", split)
        config = _config_of(config)
        one_of("protocol", protocol, str, "give a name, such as 'paper'")
        if folder is None:
            scratch = Path(tempfile.mkdtemp(prefix="cllm4rec-"))
            atexit.register(shutil.rmtree, scratch, ignore_errors=True)
            folder = scratch / "data"
        folder = path_of("folder", folder)
        refuse_inside_run(folder, "folder")
        report = prepare(source, folder, split=split, protocol=protocol, config=config, seed=seed)
        _note_refused(report)
        return cls.open(folder)

    @classmethod
    def from_frames(
        cls,
        interactions: Any,
        items: Any = None,
        users: Any = None,
        reviews: Any = None,
        *,
        split: Any = None,
        protocol: Protocol = "paper",
        config: DataConfig | Mapping[str, Any] | None = None,
        seed: int = 0,
        folder: str | Path | None = None,
    ) -> "Dataset":
        """Prepare data frames as `load` does files, with the same columns and checks.

        Each may be a frame of pandas, of polars, an Arrow table or reader, or anything else with
        ``__arrow_c_stream__``; a reader is streamed. The index of a pandas frame is left
        out, unless it has the name of a standard column that the frame lacks.

        Examples:
            >>> log = pandas.read_csv("log.csv")              # doctest: +SKIP
            >>> dataset = Dataset.from_frames(log)            # doctest: +SKIP

        Args:
            interactions: ``user_id, item_id``; optionally ``timestamp, position, rating``.
            items: ``item_id``; optionally ``title, text`` and features.
            users: ``user_id`` and features.
            reviews: ``user_id, item_id, text``.
            split: a frame ``user_id, item_id, part``, or a split file.
            protocol: as of `load`, and so are the others.
            config: how the columns are read, as of `load`.
            seed: of the protocol's random draws.
            folder: where the prepared files go; None takes a folder that is removed at exit.

        Raises:
            InputError: a frame cannot be used; the message says what to mend.
        """
        given = dict(interactions=interactions, items=items, users=users, reviews=reviews)
        if interactions is None:
            raise InputError("interactions is None; give a data frame with user_id and item_id")
        beside = None if folder is None else path_of("folder", folder).resolve().parent
        if is_frame(split):
            given["split"] = split
        elif split is not None:
            path_of("split", split)
        seed_of(seed)
        config = _config_of(config)
        with input_directory(given, beside, config.columns) as source:
            return cls.load(
                source,
                split=source / "split.parquet" if is_frame(split) else split,
                protocol=protocol,
                config=config,
                seed=seed,
                folder=folder,
            )

    def with_items(self, rows: ItemRows) -> "Dataset":
        """The same data with further items, which have no interactions.

        Args:
            rows: by id; none of the ids is known.
        """
        items = self.items.with_appended(rows.ids)
        interactions, excluded = (
            replace(each, num_items=len(items)) for each in (self.interactions, self.excluded)
        )
        texts = replace(self.texts, added=rows)
        return replace(self, items=items, texts=texts, interactions=interactions, excluded=excluded)

    def part(self, part: Part) -> Interactions:
        """The interactions of one part, for all users."""
        return self._of_parts(part)

    def known(self, asked: Asked) -> Interactions:
        """What a model may see, and must not recommend, when it predicts.

        For a list that goes to a user, what is in `excluded` must not be recommended either.

        Args:
            asked: ``valid`` gives train and history; ``test`` also valid; ``recommend`` everything.
        """
        return self._of_parts(*_KNOWN[asked])

    @property
    def left_out(self) -> LeftOut:
        """Users of the log whom the split left out, and their histories."""
        return LeftOut(self.texts.opened)

    def report(self) -> dict[str, Any]:
        """What was read, refused and kept when the data were prepared."""
        with self.texts.opened.reading() as folder:
            report: dict[str, Any] = read_json(folder / "report.json")
        return report

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of ``[data]`` that the files were read with, but for the memory limit.

        Raises:
            IntegrityError: the file does not hold such settings.
        """
        path = self.folder / SETTINGS
        given = read_json(path) if path.is_file() else {}
        try:
            DataConfig.model_validate(given)
        except ValidationError:
            raise IntegrityError(
                f"{path} does not hold settings of [data]; prepare the data again"
            ) from None
        return dict(given)

    @property
    def ordered(self) -> bool:
        """Whether the log said when or in which order the interactions were."""
        return bool(self.report().get("ordered", False))

    @property
    def new_items_held_out(self) -> bool:
        """Whether a protocol held items out of training altogether; of a split file: unknown."""
        return self.report().get("split") in ("new-items", "new-items-last")

    @property
    def newest_held_out(self) -> bool:
        """Whether what is held out of the histories are their newest interactions.

        `cllm4rec.data.split.newest_are_held_out` answers when the data are prepared, of data of
        `refit` before their parts were merged. Data prepared before 2026-12-01 do not say it, nor
        which times are equal: there the stored order counts.
        """
        report = self.report()
        if not report.get("ordered", False):
            return False
        if "newest_held_out" in report:
            return bool(report["newest_held_out"])
        held = np.isin(self.part_codes, [PARTS.index("valid"), PARTS.index("test")])
        trained = self.part_codes == PARTS.index("train")
        users, place = self.interactions.users(), np.arange(len(self.interactions))
        first_held = np.full(len(self.users), len(place))
        last_trained = np.full(len(self.users), -1)
        np.minimum.at(first_held, users[held], place[held])
        np.maximum.at(last_trained, users[trained], place[trained])
        both = (first_held < len(place)) & (last_trained >= 0)
        return bool(both.any() and (last_trained < first_held)[both].mean() >= MOST_USERS)

    def summary(self) -> dict[str, int]:
        """Counts of users, items, interactions (all and per part), texts and reviews."""
        per_part = np.bincount(self.part_codes, minlength=len(PARTS)).tolist()
        return {
            "users": len(self.users),
            "items": len(self.items),
            "interactions": len(self.interactions),
            **dict(zip(PARTS, per_part, strict=True)),
            "titles": _given(self.texts.item_titles),
            "texts": _given(self.texts.item_texts),
            "item_features": sum(map(_given, self.texts.item_features.values())),
            "user_features": sum(map(_given, self.texts.user_features.values())),
            "reviews": sum(len(texts) for *_, texts in self.texts.reviews()),
        }

    def _of_parts(self, *parts: Part) -> Interactions:
        codes = [PARTS.index(part) for part in parts]
        return self.interactions.where(np.isin(self.part_codes, codes))


def _note_refused(report: Mapping[str, Any]) -> None:
    """Say what `prepare` of the command line has in its table; a repeated pair is no loss."""
    refused = {
        why: n for why, n in report["refused"]["interactions"].items() if why != REPEATED_PAIR
    }
    if refused:
        reasons = ", ".join(f"{why}: {n:,}" for why, n in refused.items())
        progress.note(
            f"{sum(refused.values()):,} of {report['read']:,} rows of the log are refused "
            f"({reasons}); mend them, or leave them out"
        )


def _given(values: list[str | None]) -> int:
    return sum(value is not None for value in values)


def _config_of(config: DataConfig | Mapping[str, Any] | None) -> DataConfig:
    if config is None or isinstance(config, Mapping):
        config = possible(request_of({"data": dict(config or {})})).data
    one_of("config", config, DataConfig, "give a dict of settings, or None for the defaults")
    return config
