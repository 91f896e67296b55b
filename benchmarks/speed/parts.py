"""What the stages are built from, at one depth: setups, initial values, the cost of a head."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.speed.settings import Profile, profile_config
from cllm4rec.data.dataset import Dataset
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM
from cllm4rec.planning.flops import Cost, Shape, head
from cllm4rec.run import RunDir
from cllm4rec.stages.finetune import finetuning_objectives
from cllm4rec.stages.initialise import Initial
from cllm4rec.stages.setup import Setup
from cllm4rec.tasks import task_for
from cllm4rec.training.world import here


class Parts:
    """Everything at one depth; models of one profile share backbone and words.

    Args:
        dataset: prepared data.
        depth: layers kept.
        overrides: settings on top of the profiles'.
        scratch: where the content corpus is, or will be.
    """

    def __init__(
        self,
        dataset: Dataset,
        depth: int,
        overrides: Sequence[str],
        scratch: Path,
    ) -> None:
        self.dataset, self.depth, self.overrides = dataset, depth, overrides
        self.scratch = scratch
        self._setups: dict[Profile, Setup] = {}

    def setup(self, profile: Profile) -> Setup:
        """Language model, task and settings of a profile, loaded once."""
        if profile not in self._setups:
            config = profile_config(profile, self.depth, self.overrides)
            lm = LanguageModel.load(config)
            for other in self._setups.values():
                lm = replace(lm, words=other.lm.words)  # equal, and a hundred megabytes
            task = task_for(config, lm, len(self.dataset.users), len(self.dataset.items))
            run = RunDir(self.scratch)
            self._setups[profile] = Setup(run, config, self.dataset, lm, task, here())
        return self._setups[profile]

    def initial(self, profile: Profile) -> Initial:
        """Where a profile's training begins; speed does not depend on what is in it."""
        return Initial.of(self.setup(profile), linear=False, texts=False)

    def recommender_llm(self, profile: Profile) -> CollaborativeLLM:
        """The model of finetuning and scoring."""
        model, _ = finetuning_objectives(self.setup(profile), self.initial(profile))
        return wake(model)

    def shape(self, setup: Setup) -> tuple[Shape, int]:
        """The backbone's shape, and the bytes of a number of its compute dtype."""
        return Shape.read(setup.lm.folder, self.depth), setup.lm.dtype.itemsize

    def head(
        self,
        model: ContentLLM | CollaborativeLLM,
        rows: int,
        itemsize: int,
        *,
        learning: bool,
    ) -> Cost:
        """Of a model's scores at so many positions."""
        items = isinstance(model, CollaborativeLLM)
        maps = [model.head.projection, getattr(model.head, "skip", None)]
        return head(
            rows,
            model.embedding.size,
            len(model.head.bias),
            itemsize,
            maps=sum(part is not None for part in maps),
            learning=learning,
            trained=items,
        )


def wake(model: CollaborativeLLM) -> CollaborativeLLM:
    """Let the backbone count: with a skip its projection starts from zero.

    A check would not see through that.
    """
    if model.head.projection is not None:
        torch.nn.init.eye_(model.head.projection.weight)
    return model
