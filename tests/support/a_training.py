"""A training of both models at toy size, killed where asked."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

from torch import Tensor

from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.tasks.language import LanguageObjective, items_likelihood, words_likelihood
from cllm4rec.tasks.mutual import Mutual
from cllm4rec.training import divided
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.loop import Objective, Pass, Position, fit
from cllm4rec.training.meeting import MeetingObjective
from cllm4rec.training.optim import adam
from cllm4rec.training.world import ALONE
from support import tiny_models as tiny

PLAN = [
    Pass("content", 0, 3),
    Pass("collaborative", 0, 6),
    Pass("content", 3, 2),
    Pass("collaborative", 6, 6),
]


class Interrupted(Exception):
    """Stands for a kill between two steps."""


class Training:
    """Two mutually regularised LLMs, their optimisers and their checkpoint.

    Args:
        folder: of the checkpoint.
        dropout: of the collaborative LLM.
        seed: of what is drawn.
        lazily: whether their user tables are.
    """

    def __init__(
        self, folder: Path, dropout: float = 0.0, seed: int = 0, *, lazily: bool = False
    ) -> None:
        self.seed = seed
        collaborative = tiny.collaborative_llm(dropout=dropout)
        content = tiny.content_llm(tiny.TextCorpus.vocabulary())
        histories = CollaborativeCorpus(
            tiny.interactions(), tiny.SPACE, tiny.prompts(), tiny.CORPUS, seed=0
        )
        settings = {"batch_tokens": 30, "seed": 0}
        objectives = {
            "collaborative": LanguageObjective(
                collaborative,
                histories,
                items_likelihood(collaborative, tiny.ALL_ITEMS),
                Mutual(collaborative.embedding, content.embedding, 1.0),
                **settings,
            ),
            "content": LanguageObjective(
                content,
                tiny.TextCorpus(),
                words_likelihood(content),
                Mutual(content.embedding, collaborative.embedding, 1.0),
                **settings,
            ),
        }
        self.objectives: dict[str, Objective] = dict(objectives)
        if lazily:
            for name, each in objectives.items():
                own, other = each.mutual.own, each.mutual.other
                with mock.patch.object(divided, "LAZY_FROM", 1):
                    divided.divide(own, ALONE, with_items=False, lazily=True)
                    divided.divide(other, ALONE, with_items=False, lazily=True)
                tables = divided.DividedTables(own, other)
                self.objectives[name] = MeetingObjective(each, ALONE, tables=tables)
        self.parameters = {name: o.parameters() for name, o in self.objectives.items()}
        self.optimizers = {
            name: adam(named, learning_rate=1e-2, head_scale=0.1)
            for name, named in self.parameters.items()
        }
        self.checkpoint = Checkpoint(folder, "same", self.parameters, self.optimizers)
        self.rows: list[dict] = []

    def run(
        self,
        position: Position,
        stop_after: int | None = None,
        *,
        checkpoint_seconds: float = 0.0,
        after_pass: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """Train, until killed after a step perhaps; by default each step has a checkpoint."""

        def log(**row) -> None:
            if stop_after is not None and len(self.rows) == stop_after:
                raise Interrupted
            self.rows.append(row)

        fit(
            PLAN,
            self.objectives,
            self.optimizers,
            stage="pretrain",
            seed=self.seed,
            position=position,
            log=log,
            after_pass=after_pass,
            checkpoint=lambda at: self.checkpoint.save(at, {}, {}),
            checkpoint_seconds=checkpoint_seconds,
        )

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"{objective}/{name}": p.detach().clone()
            for objective, named in self.parameters.items()
            for name, p in named.items()
        }


def num_steps(folder: Path) -> int:
    training = Training(folder)
    return sum(len(training.objectives[part.objective].steps(part)) for part in PLAN)
