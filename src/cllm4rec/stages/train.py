"""train: initialise, pretrain, finetune; stages already done with the same settings are skipped."""

from typing import Any

from cllm4rec.config import Config
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.run import RunDir, exclusive
from cllm4rec.stages.finetune import finetune_with
from cllm4rec.stages.initialise import initialise_with
from cllm4rec.stages.pretrain import pretrain_with
from cllm4rec.stages.setup import Setup


@exclusive
def train(run: RunDir, config: Config, lm: LanguageModel | None = None) -> dict[str, Any]:
    """Run all training stages; data and language model are loaded once.

    A model that the run has answers, with its settings, until the new one is there.

    Args:
        run: must be prepared.
        config: complete, from `configure`.
        lm: the language model of ``config``, if it is loaded; trained in place where it is trained.

    Returns:
        Each stage's result by name; ``pretrain`` only if enabled.

    Raises:
        RunError: the run is not prepared.
    """
    with Setup.begun(run, config, lm=lm) as setup:
        results = {"initialise": initialise_with(setup)}
        pretrained = pretrain_with(setup)  # forgets an earlier one where it is not enabled
        if setup.config.pretrain.enabled:
            results["pretrain"] = pretrained
        results["finetune"] = finetune_with(setup)
        return results
