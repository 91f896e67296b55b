"""The stages; each reads and leaves files of one run."""

from cllm4rec.stages.batch import recommend_batch
from cllm4rec.stages.demo import demo
from cllm4rec.stages.evaluate import evaluate, model_rankings
from cllm4rec.stages.finetune import finetune
from cllm4rec.stages.prepare import adopt, prepare
from cllm4rec.stages.pretrain import pretrain
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.train import train

__all__ = [
    "adopt",
    "demo",
    "evaluate",
    "finetune",
    "model_rankings",
    "prepare",
    "pretrain",
    "recommend",
    "recommend_batch",
    "train",
]
