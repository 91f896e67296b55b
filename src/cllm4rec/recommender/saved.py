"""A trained model as a folder that can be loaded anywhere."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.numpy import load_file as load_numpy
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file

from cllm4rec.assembly import Assembly
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.linear import LinearPrior
from cllm4rec.errors import IntegrityError
from cllm4rec.models.llms import RecLLM, saved_tensors
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.catalogue import Catalogue, Filters
from cllm4rec.recommender.intact import FORMAT, data_hashes, seal_model, verified_record
from cllm4rec.recommender.requests import NO_FILTERS, ListRequest
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.run import atomic_folder, write_json


class Recommender:
    """A trained run that answers questions.

    Args:
        scorer: the recommendation-oriented LLM and what it is blended with.
    """

    def __init__(self, scorer: ModelScorer) -> None:
        self.scorer = scorer
        self.model = scorer.model
        self.assembly = scorer.assembly

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "Recommender":
        """Load a run, or a folder written by ``CLLM4Rec.save``.

        Args:
            folder: of either.
            device: as of the setting; wherever it was trained.

        Raises:
            ConfigError: there is no such device.
            InputError: there is no trained model in ``folder``.
            IntegrityError: a file of the model or of its data is not what was written, and is
                named; the model was made with another backbone, or by another format.
        """
        record = verified_record(folder)
        try:
            config = Config.model_validate(record["config"])
        except ValidationError:
            raise IntegrityError(
                f"the settings in {folder / 'model' / 'model.json'} are not this version's; "
                f"train again"
            ) from None
        config = config.model_copy(update={"device": device})
        dataset = Dataset.open(folder / "data")
        assembly = Assembly.load(config, dataset)
        if assembly.backbone_fingerprint != record["backbone_sha256"]:
            raise IntegrityError(
                f"{folder / 'model'} was trained on another {config.backbone.name!r} than the one "
                f"found in {assembly.backbone_folder}; restore that backbone or train again"
            )
        space = assembly.space
        model = assembly.rec_llm(torch.zeros(space.num_users + space.num_items, record["size"]))
        load_tensors(model, load_file(folder / "model" / "model.safetensors"))
        prior = None
        if record["prior"] is not None:
            arrays = load_numpy(folder / "model" / "prior.safetensors")
            prior = LinearPrior.from_arrays(arrays, record["prior"])
        return cls(ModelScorer(model, assembly, prior=prior, share=record["blend"]))

    @cached_property
    def catalogue(self) -> Catalogue:
        """Of the run's items: titles, attributes, filters."""
        return Catalogue(self.assembly.dataset)

    def recommend(
        self, user_ids: Sequence[str] | None, k: int, filters: Filters = NO_FILTERS
    ) -> RankedItems:
        """The best ``k`` items for known users.

        Args:
            user_ids: whom to recommend for; None for everyone.
            k: length of the lists; the catalogue at most.
            filters: what they may hold.

        Raises:
            UnknownId: a user or an item that is not in the run.
            InputError: a filter names a column that is not there, or ``k`` is not positive.
        """
        known = self.assembly.dataset.known("recommend")
        request = ListRequest.for_users(self.catalogue, known, user_ids, k, filters)
        return request.answered_by(self.scorer)

    def recommend_for_history(
        self, item_ids: Sequence[str], k: int, filters: Filters = NO_FILTERS
    ) -> RankedItems:
        """The best ``k`` items after a bare history, oldest first, of someone without a token.

        Of a repeated item the newest place counts.

        Raises:
            UnknownId: an item that is not in the run.
            InputError: the history is empty, a filter names a column that is not there, or ``k`` is
                not positive.
        """
        request = ListRequest.for_histories(self.catalogue, [item_ids], k, filters)
        return request.answered_by(self.scorer)


def save_model(folder: Path, scorer: ModelScorer) -> None:
    """Write what was trained and what it depends on: safetensors and JSON, replaced as a whole."""
    model, assembly = scorer.model, scorer.assembly
    with atomic_folder(folder) as temporary:
        tensors = saved_tensors(model)
        save_file({n: t.contiguous() for n, t in tensors.items()}, temporary / "model.safetensors")
        if scorer.prior is not None:
            save_numpy(scorer.prior.arrays(), temporary / "prior.safetensors")
        write_json(
            temporary / "model.json",
            {
                "format": FORMAT,
                "config": assembly.config.model_dump(),
                "backbone_sha256": assembly.backbone_fingerprint,
                "data": data_hashes(assembly.dataset.folder),
                "size": assembly.words.shape[1],
                "prior": None if scorer.prior is None else scorer.prior.settings,
                "blend": scorer.share,
                "users": assembly.space.num_users,
                "items": assembly.space.num_items,
            },
        )
        seal_model(temporary)


def load_tensors(model: RecLLM, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy saved tensors in by name.

    Raises:
        IntegrityError: a tensor is missing, too many, or of another shape.
    """
    expected = saved_tensors(model)
    if differing := expected.keys() ^ tensors.keys():
        raise IntegrityError(f"saved tensors do not fit the model: {min(differing)} differs")
    for name, tensor in expected.items():
        if tensor.shape != tensors[name].shape:
            raise IntegrityError(f"saved tensor {name} has another shape than the model's")
    model.load_state_dict(dict(tensors), strict=False)
