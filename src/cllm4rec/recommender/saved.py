"""Saving and loading of trained models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from cllm4rec.config import Config, checked
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.lengths import ByLength
from cllm4rec.ensemble.linear import load_linear, save_linear
from cllm4rec.errors import ConfigError, IntegrityError
from cllm4rec.linear.properties import PropertyModel
from cllm4rec.models.build import collaborative_llm
from cllm4rec.models.device import device_here
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.models.llms import item_table, load_tensors, saved_tensors
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.added import AddedItems, AddedScores
from cllm4rec.recommender.beside_taste import Wanted
from cllm4rec.recommender.catalogue import Catalogue, Filters
from cllm4rec.recommender.explain import Reason, explain
from cllm4rec.recommender.intact import (
    FORMAT,
    MEND,
    Version,
    data_hashes,
    read_whole,
    seal_model,
    verified_record,
)
from cllm4rec.recommender.lists import noted, ranked
from cllm4rec.recommender.placing import Placing
from cllm4rec.recommender.profiles import profile_scores, property_model
from cllm4rec.recommender.queries import Queries
from cllm4rec.recommender.requests import NO_FILTERS, ListRequest
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.recommender.similar import By, Similar, SimilarItems, similar_by
from cllm4rec.run import atomic_folder, write_json
from cllm4rec.tasks import task_for

MODEL = "model.safetensors"
"""Trained parameters."""
ITEMS = "items.safetensors"
"""Item vectors, where no trained parameter is just these."""


class Recommender:
    """A trained model with its data, ready to recommend.

    Args:
        scorer: the trained model, blended with its linear model if it has one.
        dataset: of the run.
        lm: the pretrained language model underneath.
        version: what it was read of; None for one that was not saved.
    """

    def __init__(
        self,
        scorer: ModelScorer,
        dataset: Dataset,
        lm: LanguageModel,
        version: Version | None = None,
    ) -> None:
        self.scorer = scorer
        self.dataset = dataset
        self.lm = lm
        self.version = version or Version.unsaved(dataset.folder)

    @property
    def config(self) -> Config:
        """Settings of the training."""
        return self.scorer.task.config

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str | None = None,
        *,
        lm: LanguageModel | None = None,
        added: bool = True,
    ) -> "Recommender":
        """Load a run, or a folder written by ``CLLM4Rec.save``.

        Args:
            folder: of either.
            device: as in the setting ``device``. None for that of the training, or the CPU, with a
                note, if that device does not exist here.
            lm: the language model of the training, if it is loaded; its backbone is shared, and a
                trained one takes the saved weights.
            added: whether items that were added after the training are part of the catalogue.

        Raises:
            ConfigError: the given device does not exist.
            InputError: ``folder`` has no trained model, or it is being replaced.
            IntegrityError: a file of the model or its data has changed (named), the backbone is
                another one, or the format is.
        """
        return read_whole(folder, lambda found: cls._load(found, device, lm, added), added=added)

    @classmethod
    def _load(
        cls, version: Version, device: str | None, lm: LanguageModel | None, added: bool
    ) -> "Recommender":
        folder = version.model.path.parent
        record = verified_record(folder)
        try:
            config = checked(record["config"])
        except ConfigError as error:
            raise IntegrityError(
                f"the settings in {folder / 'model' / 'model.json'} are not this version's "
                f"({error}); run `cllm4rec prepare` and `cllm4rec train` again"
            ) from None
        dataset = Dataset.open(folder / "data")
        if lm is None:
            device = device_here(config.device) if device is None else device
            lm = LanguageModel.load(config.model_copy(update={"device": device}))
        if lm.sha256 != record["backbone_sha256"]:
            raise IntegrityError(
                f"{folder / 'model'} was trained on another {config.backbone.name!r} than the one "
                f"found in {lm.folder}; restore that backbone or train again"
            )
        task = task_for(config, lm, len(dataset.users), len(dataset.items), dataset.texts)
        tables = (torch.zeros(n, lm.size) for n in (task.space.num_users, task.space.num_items))
        model = collaborative_llm(lm, config, *tables)
        load_tensors(model, load_file(folder / "model" / MODEL))
        linear = None
        if record["linear"] is not None:
            linear = load_linear(folder / "model" / "linear.safetensors", record["linear"])
        place = folder / "model" / "model.json"
        weights = record["blend"], ByLength.recorded(record.get("blend_by_length"), place, MEND)
        scorer = ModelScorer.of(model, task, dataset.part("train"), linear, *weights)
        recommender = cls(scorer, dataset, lm, version)
        found = AddedItems.of(folder) if added else None
        if found is not None:
            recommender._extend(AddedScores.of(found, Placing.read(folder)))
        return recommender

    def _extend(self, added: AddedScores) -> None:
        """Append items to the catalogue; the trained ones keep their numbers and scores."""
        scorer = self.scorer
        trained = scorer.model.embedding.items.all().detach().float().cpu().numpy()
        scorer.model.embedding.extend_(torch.from_numpy(added.rows_of(trained)))
        self.dataset = self.dataset.with_items(added.added.rows)
        sizes = len(self.dataset.users), len(self.dataset.items)
        task = task_for(self.config, self.lm, *sizes, self.dataset.texts)
        self.scorer = replace(scorer, task=task, added=added)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The run's items: titles, attributes, filters."""
        return Catalogue(self.dataset)

    @cached_property
    def queries(self) -> Queries:
        """What answers queries in words.

        Raises:
            InputError: the run keeps nothing to answer them by.
        """
        texts = self.dataset.texts
        with self.version.model.reading() as model:
            return Queries.read(model.parent, texts.item_titles, texts.added)

    @cached_property
    def properties(self) -> PropertyModel:
        """What recommends by users' properties.

        Raises:
            InputError: the run knows none.
        """
        return property_model(self.dataset)

    @cached_property
    def similar(self) -> SimilarItems:
        """Nearest neighbours of the items."""
        vectors = self.scorer.model.embedding.items.all().detach()
        return SimilarItems(vectors.float().cpu().numpy())

    def similar_by(self, by: By) -> Similar:
        """Nearest neighbours by what `By` names.

        Raises:
            InputError: there is no such comparison, or there are no texts to compare.
        """
        if by == "model":
            return self.similar
        added = None if self.scorer.added is None else self.scorer.added.added
        with self.version.model.reading() as model:
            return similar_by(by, model.parent, self.dataset, added)

    def recommend(
        self,
        user_ids: Sequence[str] | None,
        k: int,
        filters: Filters = NO_FILTERS,
        query: str | None = None,
        query_weight: float | None = None,
    ) -> RankedItems:
        """The best ``k`` items for known users.

        A user of whom nothing is known gets an empty list, and a note says so; an unknown item of
        the filters is left aside.

        Args:
            user_ids: to recommend for; None for everyone.
            k: length of the lists; at most the catalogue's size.
            filters: on the items listed.
            query: what is asked for, in words.
            query_weight: of the words; see `Queries.wanted`.

        Raises:
            UnknownId: none of the users is known, or no item of ``include``.
            InputError: a filter names an unknown column, ``k`` is not positive, or the query
                cannot be answered.
        """
        known, wanted = self.dataset.known("recommend"), self._wanted(query, query_weight)
        request = ListRequest.for_users(self.catalogue, known, user_ids, k, filters, wanted=wanted)
        return request.for_all(ranked(self.scorer, noted(request)))

    def recommend_for_history(
        self,
        item_ids: Sequence[str],
        k: int,
        filters: Filters = NO_FILTERS,
        query: str | None = None,
        query_weight: float | None = None,
    ) -> RankedItems:
        """The best ``k`` items after a history, oldest first, without a user token.

        A repeated item counts at its newest place, an unknown one not at all, and a note says so.
        With a query the history may be empty.

        Raises:
            UnknownId: no item of the history is known, or none of ``include``.
            InputError: the history is empty and there is no query, a filter names an unknown
                column, ``k`` is not positive, or the query cannot be answered.
        """
        wanted = self._wanted(query, query_weight)
        request = ListRequest.for_histories(self.catalogue, [item_ids], k, filters, wanted)
        noted(request)
        if request.of_nobody:
            return request.cold_list(self.catalogue.popularity)
        return ranked(self.scorer, request)

    def recommend_for_profile(
        self,
        profile: Mapping[str, str | float],
        k: int,
        filters: Filters = NO_FILTERS,
        query: str | None = None,
        query_weight: float | None = None,
    ) -> RankedItems:
        """The best ``k`` items for somebody of whom only properties are known.

        Args:
            profile: property → value, as columns of ``users.*``.
            k: length of the list; at most the catalogue's size.
            filters: on the items listed.
            query: what is asked for, in words.
            query_weight: of the words; see `Queries.wanted`.

        Raises:
            UnknownId: no item of ``include`` is known.
            InputError: a property or a value that the run does not know, or as of `recommend`.
        """
        cold, wanted = profile_scores(self.properties, profile), self._wanted(query, query_weight)
        request = ListRequest.for_nobody(self.catalogue, k, filters, wanted=wanted, cold=cold)
        return noted(request).cold_list(self.catalogue.popularity)

    def named(self, ranked: RankedItems) -> list[list[tuple[str, float]]]:
        """Lists as ``(item_id, score)``, without empty places."""
        items = self.dataset.items
        return [
            [(items.id(int(i)), float(s)) for i, s in zip(row, scores, strict=True) if i >= 0]
            for row, scores in zip(ranked.items, ranked.scores, strict=True)
        ]

    def _wanted(self, query: str | None, weight: float | None) -> Wanted | None:
        return None if query is None else self.queries.wanted(query, weight)

    def explain(self, user_id: str, item_id: str) -> list[Reason]:
        """What of a user's history speaks for an item; of a user whom the split left out, too.

        Raises:
            UnknownId: an item that is not in the run, or a user without a history.
        """
        if not isinstance(user_id, str):
            raise self.dataset.users.unknown(user_id)
        known = self.dataset.known("recommend")
        asked = ListRequest.for_users(self.catalogue, known, [user_id], 1)
        items = np.array([self.dataset.items.number(item_id)], np.int32)
        user, history = int(asked.users[0]), asked.histories.of(0)
        scorer = self.scorer.counting(len(history))
        return explain(scorer, user, history, items, len(self.dataset.items))[0]


def save_model(
    folder: Path,
    scorer: ModelScorer,
    dataset: Dataset,
    backbone_sha256: str,
    placing: Placing | None = None,
    queries: Queries | None = None,
) -> None:
    """Write the model and its dependencies' hashes: safetensors and JSON, replaced atomically.

    Args:
        folder: ``model`` of a run.
        scorer: the trained model.
        dataset: of the run.
        backbone_sha256: of the language model.
        placing: what places items that come with a text alone.
        queries: what answers queries in words.
    """
    with atomic_folder(folder) as temporary:
        tensors = saved_tensors(scorer.model)
        save_file({n: t.contiguous() for n, t in tensors.items()}, temporary / MODEL)
        item_vectors = {"file": MODEL, "tensor": item_table(scorer.model)}
        if item_vectors["tensor"] is None:
            item_vectors = {"file": ITEMS, "tensor": "vectors"}
            vectors = scorer.model.embedding.items.all().detach()
            save_file({"vectors": vectors.contiguous()}, temporary / ITEMS)
        if scorer.linear is not None:
            save_linear(scorer.linear, temporary / "linear.safetensors")
        if placing is not None:
            placing.write(temporary)
        if queries is not None:
            queries.write(temporary)
        write_json(
            temporary / "model.json",
            {
                "format": FORMAT,
                "config": scorer.task.config.model_dump(),
                "backbone_sha256": backbone_sha256,
                "data": data_hashes(dataset.folder),
                "linear": None if scorer.linear is None else scorer.linear.settings,
                "blend": scorer.weight,
                "blend_by_length": scorer.weights_by_length,
                "item_vectors": item_vectors,
                "users": len(dataset.users),
                "items": len(dataset.items),
            },
        )
        seal_model(temporary)
