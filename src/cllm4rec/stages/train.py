"""train: initialise, pretrain, finetune; what is done with the same settings is not done again."""

from typing import Any

from cllm4rec.config import Config
from cllm4rec.run import RunDir, exclusive
from cllm4rec.stages.finetune import finetune_with
from cllm4rec.stages.initialise import initialise_with
from cllm4rec.stages.pretrain import pretrain_with
from cllm4rec.stages.setup import Setup


@exclusive
def train(run: RunDir, config: Config) -> dict[str, Any]:
    """All training stages; data and language model are loaded once.

    Returns:
        Each stage's result under its name; without ``pretrain`` where that is not enabled.

    Raises:
        RunError: the run is not prepared.
    """
    setup = Setup.of(run, config)
    results = {"initialise": initialise_with(setup)}
    if setup.config.pretrain.enabled:
        results["pretrain"] = pretrain_with(setup)
    results["finetune"] = finetune_with(setup)
    return results
