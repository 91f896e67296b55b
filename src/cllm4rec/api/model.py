"""The public class: how a model is trained, kept, measured and asked."""

import json
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cllm4rec.api.answers import Answers
from cllm4rec.config import Given, request_of
from cllm4rec.data.arguments import one_of, path_of
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.frames import input_file
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.recommender.arguments import filters_of, id_list
from cllm4rec.recommender.conditions import Where
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir, is_sealed, verify_seal
from cllm4rec.stages.add_items import add_items, remove_items, share_of_lists
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import import_dataset, is_of
from cllm4rec.stages.recommend_all import recommend_all
from cllm4rec.stages.refit import refit
from cllm4rec.stages.save import save_folder
from cllm4rec.stages.train import train


class CLLM4Rec(Answers):
    """Collaborative large language model for recommendation (Zhu et al., WWW 2024).

    Examples:
        >>> dataset = Dataset.load("data/movielens")          # doctest: +SKIP
        >>> model = CLLM4Rec().fit(dataset)                   # doctest: +SKIP
        >>> model.recommend(["196"], k=10)                    # doctest: +SKIP

    Args:
        config: a preset's name (``"auto"``, ``"sets"``, ``"sequences"``, ``"paper"``,
            ``"paper-small"``), a TOML file, a dictionary such as ``{"finetune": {"epochs": 5}}``,
            or a complete `Config`; ``"auto"`` if not given.
        run: folder to train in, for resuming and reports; a temporary one if not given.

    Attributes:
        config_: the complete configuration the model was trained with, once it is fitted.
    """

    def __init__(self, config: Given = None, *, run: str | Path | None = None) -> None:
        self.request = request_of(config)
        self.run = None if run is None else path_of("run", run)
        self._folder = self.run
        self._run_is_temporary = run is None
        self._begun: Path | None = None

    def fit(self, dataset: Dataset, *, replace: bool = False) -> "CLLM4Rec":
        """Train: initialise, pretrain where enabled, finetune; resumes an interrupted fit.

        Args:
            dataset: to train on.
            replace: let a run that is trained on other data have these; its model, results and
                report go. Without a run of yours other data get another temporary one.

        Raises:
            InputError: the backbone cannot be had, ``dataset`` is no Dataset, or the run is trained
                on another.
        """
        one_of("dataset", dataset, Dataset, "Dataset.from_frames or Dataset.load makes one")
        place = self._place_for(dataset)
        run = RunDir(place).create()
        config = import_dataset(
            run, dataset, self.request, replace=replace or self._run_is_temporary
        )
        lm = LanguageModel.load(config)
        train(run, config, lm)
        self.recommender_ = Recommender.load(place, lm=lm)
        self.run = self._folder = place
        self.config_, self._begun = config, None
        return self

    def refit(self, folder: str | Path | None = None, *, keep_test: bool = False) -> "CLLM4Rec":
        """Train once more on what was held out too, with everything as validation chose it.

        This model stays as it is, and says how good the other is.

        Args:
            folder: run of the new model; resumes an interrupted call. A temporary one if not given.
            keep_test: train on training and validation part, and leave the test part for
                `evaluate`.

        Returns:
            The new model.

        Raises:
            RunError: the model is a saved one: only its run has what validation chose.
            InputError: the model was itself made by `refit`, or ``folder`` is another run.
        """
        place, again = self._place(), CLLM4Rec(self.config_)
        again.run = again._temporary() if folder is None else path_of("folder", folder)
        again._run_is_temporary = folder is None
        refit(place, RunDir(again.run), keep_test=keep_test, named="folder")
        again._folder = again.run
        again.recommender_ = Recommender.load(again.run)
        again.config_ = again.recommender_.config
        return again

    def recommend_all(
        self,
        folder: str | Path,
        k: int = 100,
        *,
        histories: str | Path | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        where: Where | None = None,
        seen: bool = False,
    ) -> dict[str, Any]:
        """Lists for every user as a folder of shards; resumes an interrupted call.

        Args:
            folder: to write, or to go on with.
            k: length of each list.
            histories: Parquet, CSV or JSON lines of users the data do not know, to be asked for
                instead: ``user_id``, ``item_id`` and, for an order other than the file's,
                ``timestamp`` or ``position``.
            include: as of `recommend`, and so are the other filters.
            exclude: items that may not be listed.
            where: conditions on attributes, as of `recommend`.
            seen: whether items of the user's history may be listed.

        Raises:
            UnknownId: no item of ``include`` is known.
            InputError: the folder holds lists of another model or k or with other filters, the
                histories cannot be used, or a filter names a column that is not there.
        """
        out = path_of("folder", folder)
        strangers = None if histories is None else path_of("histories", histories)
        filters = filters_of(include, exclude, where, seen)
        return recommend_all(self._place(), out=out, k=k, histories=strangers, filters=filters)

    def add_items(self, items: Any, *, skip: bool = False) -> dict[str, Any]:
        """Add items by their texts, without training; no other item's score changes.

        But in answers to queries in words, where scores are relative to those of all items.

        They are in every answer at once, and stay in the run or saved folder until `remove_items`
        or the next `fit`. Either all are added or none.

        Args:
            items: a data frame, or a file: ``item_id``, ``title`` or ``text`` or both, attributes.
            skip: whether to leave out rows that cannot be added, and add the rest.

        Returns:
            ``added``, ``skipped`` by reason, ``same_text`` (they get the scores of an item with
            their text), ``unread_columns`` (which the data do not have), ``items_added``,
            ``items``; ``share_of_lists`` and ``share_of_first_5``
            (of the first five places alone) beside ``share_of_items``.

        Raises:
            InputError: an id is there, a text is empty, too long or without a word that the data
                know, or the model keeps nothing to place items by.
            RunError: another process is at work in the run.
        """
        columns = self._fitted().config.data.columns
        with input_file("items", items, columns) as source:
            report = add_items(self._place(), source, skip=skip, measure=False)
        self._reload()
        return {**report, **share_of_lists(self.recommender_)}

    def remove_items(self, items: Sequence[str] | None = None) -> dict[str, Any]:
        """Remove items that were added, or all of them: returns ``removed, items_added, items``.

        Raises:
            UnknownId: an item that is not in the data.
            InputError: an item that the model was trained with.
            RunError: another process is at work in the run.
        """
        report = remove_items(self._place(), items)
        self._reload()
        return report

    def _place_for(self, dataset: Dataset) -> Path:
        """The run to train in: the caller's or a temporary one, and another one for other data.

        So the model in force stays whole until there is a new one. An interrupted fit goes on.
        """
        if self.run is not None and (
            not self._run_is_temporary or is_of(RunDir(self.run), dataset)
        ):
            return self.run
        self._begun = self._begun or self._temporary()
        return self._begun

    def _temporary(self) -> Path:
        """A folder that goes with this object."""
        folder = Path(tempfile.mkdtemp(prefix="cllm4rec-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _place(self) -> RunDir:
        self._fitted()
        assert self._folder is not None
        return RunDir(self._folder)

    def _reload(self) -> None:
        folder = self._place().path
        self.recommender_ = Recommender.load(folder, lm=self.recommender_.lm)

    def evaluate(self, baselines: Sequence[str] | None = None) -> dict[str, Any]:
        """The results table on the test part, baselines included.

        Args:
            baselines: names, as of ``evaluate.baselines``; None for those of the run.

        Raises:
            RunError: the model is a saved one: its run has the table, and so has its card.
            InputError: the model was made by `refit` on the test part too.
            ConfigError: a baseline that does not exist.
        """
        if baselines is None:
            return evaluate(self._place())
        names = json.dumps(id_list("baselines", baselines))
        return evaluate(self._place(), overrides=[f"evaluate.baselines={names}"])

    def save(self, folder: str | Path) -> None:
        """Write model, data tables and a model card to a folder, as a whole.

        Safetensors, Parquet and JSON; ``README.md`` for people and model hubs; ``sha256.json`` over
        model, data and results, which `load` verifies. Added items come with hashes of their own.

        Raises:
            InputError: the folder lies in a run, or holds something that is no saved model.
        """
        recommender = self._fitted()
        save_folder(self._place(), path_of("folder", folder), recommender)

    @classmethod
    def load(cls, folder: str | Path) -> "CLLM4Rec":
        """Load a run or a saved folder.

        Raises:
            InputError: there is no trained model in it.
            IntegrityError: a file of the model or of its data has changed or is missing, and is
                named; or the model was made with another backbone.
        """
        folder = path_of("folder", folder)
        # A run has a manifest of its own; a seal that is there is verified on the way.
        is_run = (folder / "manifest.json").is_file()
        if (folder / "model").is_dir() and not is_run and not is_sealed(folder):
            verify_seal(folder)
        recommender = Recommender.load(folder)
        # A saved folder is no place to train in: fitted again, its model has a run of its own.
        model = cls(recommender.config, run=None if is_sealed(folder) else folder)
        model._folder = folder
        model.config_ = recommender.config
        model.recommender_ = recommender
        return model
