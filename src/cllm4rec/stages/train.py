"""train: pretrain, then finetune; what is already done with the same settings is not done again."""

from typing import Any

from cllm4rec.config import Config
from cllm4rec.run import RunDir, alone
from cllm4rec.stages.finetune import finetune
from cllm4rec.stages.pretrain import pretrain


@alone
def train(run: RunDir, config: Config) -> dict[str, Any]:
    """Both training stages.

    Returns:
        Each stage's result under its name.

    Raises:
        RunError: the run is not prepared.
    """
    return {"pretrain": pretrain(run, config), "finetune": finetune(run, config)}
