"""Shared inputs of the training stages: settings, data, language model and task."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cllm4rec.config import Config
from cllm4rec.config.complete import checked
from cllm4rec.data.dataset import Dataset
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.models.pretrained import find_backbone
from cllm4rec.run import RunDir
from cllm4rec.stages.settings import back_if_refused, begin_settings
from cllm4rec.tasks import Task, task_for
from cllm4rec.training.world import ALONE, World, here


@dataclass(frozen=True)
class Setup:
    """Inputs of the training stages, loaded once per command."""

    run: RunDir
    config: Config
    dataset: Dataset
    lm: LanguageModel
    task: Task
    world: World = ALONE
    """The processes that train together."""

    @classmethod
    def of(
        cls, run: RunDir, config: Config, *needed: str, lm: LanguageModel | None = None
    ) -> "Setup":
        """Open the data and load the language model.

        Args:
            run: must be prepared.
            config: complete, from `configure`.
            needed: stages that must be done.
            lm: the language model of ``config``, if it is loaded.

        Raises:
            RunError: the run is not prepared, or a stage that is needed is not done.
            ConfigError: the settings do not fit the data or the backbone.
            InputError: the backbone cannot be found.
        """
        world = here()
        if world.size > 1:  # whatever another machine was given
            config = checked(world.of_main(config.model_dump))
        run.require("prepare")
        for stage in needed:
            run.info(stage)
        dataset = Dataset.open(run.file("data"))
        if world.is_first_of_machine:  # downloads, while the others wait
            find_backbone(config.backbone.name)
        world.wait()
        lm = LanguageModel.load(config) if lm is None else lm
        world.refuse_device(lm.device)
        task = task_for(config, lm, len(dataset.users), len(dataset.items), dataset.texts)
        return cls(run, config, dataset, lm, task, world)

    @classmethod
    @contextmanager
    def begun(
        cls, run: RunDir, config: Config, *needed: str, lm: LanguageModel | None = None
    ) -> Iterator["Setup"]:
        """Yield :meth:`of` the arguments; the run goes on with the settings, unless refused."""
        with back_if_refused(run):
            setup = cls.of(run, config, *needed, lm=lm)
            setup.world.of_main(lambda: begin_settings(run, setup.config))
            yield setup

    def identity(self, sections: set[str], files: Mapping[str, str], **facts: Any) -> str:
        """sha256 of everything that a stage's result depends on.

        Args:
            sections: of the configuration.
            files: name → sha256 of the files it reads.
            facts: anything else; JSON values.
        """
        # A setting with a default came after runs were made that trained as if they had it.
        settings = self.config.model_dump(include=sections | {"seed"}, exclude_defaults=True)
        inputs = [settings, dict(files), self.lm.sha256, facts]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
