"""What a training stage begins with: settings, data, language model and task."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import keep_settings
from cllm4rec.tasks import Task, task_for


@dataclass(frozen=True)
class Setup:
    """Loaded once per command and handed from stage to stage."""

    run: RunDir
    config: Config
    dataset: Dataset
    lm: LanguageModel
    task: Task

    @classmethod
    def of(cls, run: RunDir, config: Config) -> "Setup":
        """Open the data, load the language model, keep the settings.

        Args:
            run: a prepared one.
            config: complete, from `configure`.

        Raises:
            RunError: the run is not prepared.
            ConfigError: settings and data, or settings and backbone, do not go together.
            InputError: the backbone cannot be had.
        """
        run.require("prepare")
        dataset = Dataset.open(run.file("data"))
        lm = LanguageModel.load(config)
        task = task_for(config, lm, len(dataset.users), len(dataset.items))
        keep_settings(run, config)
        return cls(run, config, dataset, lm, task)

    def identity(self, sections: set[str], files: Mapping[str, str], **facts: Any) -> str:
        """sha256 of what a stage's result depends on.

        Args:
            sections: of the configuration.
            files: name → sha256 of the files it reads.
            facts: whatever else; JSON values.
        """
        settings = self.config.model_dump(include=sections | {"seed"})
        parts = [settings, dict(files), self.lm.sha256, facts]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
