"""The paper's stages on both paths: as the package trains them, and as the authors' code does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GPT2Model

from cllm4rec.config import request_of, resolve
from cllm4rec.data.dataset import Dataset
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.content import build_content_corpus
from cllm4rec.documents.recommendation import RecommendationCorpus
from cllm4rec.models.backbone import quiet_transformers
from cllm4rec.models.build import collaborative_llm, content_llm
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.models.pretrained import find_backbone
from cllm4rec.models.randomness import seeded
from cllm4rec.start.initial import initial_values
from cllm4rec.tasks import task_for
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tasks.held_out import HeldOutObjective, held_out_likelihood
from cllm4rec.tasks.language import LanguageObjective, items_likelihood, words_likelihood
from cllm4rec.tasks.mutual import Mutual
from cllm4rec.tokens.tokenizer import WordTokenizer
from cllm4rec.training.loop import Pass, optimiser_step
from cllm4rec.training.optim import adam
from cllm4rec.training.stream import stream
from reference import authors_training as theirs

STAGES = ("content", "collaborative", "finetune")
WORDS = 49152
"""Of the default backbone's tokenizer."""


def write_gpt2(folder: Path, layers: int, width: int) -> Path:
    """A GPT-2 of random weights with the default backbone's words."""
    folder.mkdir()
    tokenizer = find_backbone("smollm2-135m") / "tokenizer.json"
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    WordTokenizer.from_folder(folder, WORDS)
    theirs.random_gpt2(WORDS, layers, width).save_pretrained(folder)
    return folder


class Ours:
    """The paper's stages as the package trains them."""

    def __init__(
        self, dataset: Dataset, backbone: Path, scratch: Path, given: Sequence[str]
    ) -> None:
        # With another tokenizer the prompts are a few tokens longer than with GPT-2's own.
        shorter = ["corpus.max_items=1000", "corpus.max_words=1000"]
        request = request_of("paper", [f'backbone.name="{backbone}"', *shorter, *given])
        config = resolve(request, newest_held_out=False)
        lm = LanguageModel.load(config)
        task = task_for(config, lm, len(dataset.users), len(dataset.items))
        self.space = space = task.space
        start = initial_values(dataset, config, lm, space.num_users)
        self.tables = (
            (start.collaborative_users, start.collaborative),
            (start.content_users, start.content),
        )
        words = build_content_corpus(
            dataset.texts, space, lm.tokenizer, task.prompts, config.corpus, scratch / "corpus"
        )
        common = dataset.part("train"), space, task.prompts, config.corpus, config.seed
        content = content_llm(lm, config, *self.tables[1], words.vocabulary())
        collaborative, recommending = (collaborative_llm(lm, config, *self.tables[0]) for _ in "12")
        candidates = Candidates.of(config.model, common[0], lm.device)
        fixed = [TokenEmbedding.of_tables(lm.words, *tables) for tables in self.tables]
        language: dict[str, Any] = {
            "batch_documents": config.pretrain.batch_documents,
            "batch_tokens": config.pretrain.batch_tokens,
            "seed": config.seed,
        }

        def mutual(model: Any, other: TokenEmbedding, weight: float) -> Mutual:
            is_collaborative = model is not content
            return Mutual.of(
                config.model, model.embedding, other, weight, is_collaborative=is_collaborative
            )

        self.weights = dict.fromkeys(STAGES, config.pretrain.mutual_weight)
        self.weights["finetune"] = config.finetune.mutual_weight
        self.objectives: dict[str, Any] = {
            "content": LanguageObjective(
                content,
                words,
                words_likelihood(content),
                mutual(content, fixed[0], self.weights["content"]),
                **language,
            ),
            "collaborative": LanguageObjective(
                collaborative,
                CollaborativeCorpus(*common),
                items_likelihood(collaborative, candidates),
                mutual(collaborative, fixed[1], self.weights["collaborative"]),
                **language,
            ),
            "finetune": HeldOutObjective(
                recommending,
                RecommendationCorpus(
                    *common,
                    holdout=config.finetune.holdout,
                    exact=config.finetune.holdout_draw == "exact",
                ),
                held_out_likelihood(recommending, candidates),
                mutual(recommending, fixed[1], self.weights["finetune"]),
                batch_users=config.finetune.batch_users,
                batch_tokens=config.finetune.batch_tokens,
                seed=config.seed,
            ),
        }
        self.optimizers = {
            name: adam(one.parameters(), learning_rate=1e-4, head_scale=1.0)
            for name, one in self.objectives.items()
        }

    def loss(self, stage: str, drawn: Any) -> float:
        """The objective of some documents, without the backbone's dropout."""
        objective = self.objectives[stage]
        batches = objective.batches(drawn)
        backbone = objective.model.backbone
        total, dropout = 0.0, backbone.dropout
        backbone.dropout = False
        with torch.no_grad():
            counts = [objective.counts(batch) for batch in batches]
            for batch in batches:
                for name, loss in objective.losses(batch).items():
                    count = max(sum(one[name] for one in counts), 1)
                    total += objective.weights[name] * float(loss.total) / count
        backbone.dropout = dropout
        return total

    def train(self, stage: str, part: Pass) -> None:
        """A pass over some documents, as the training loop makes it."""
        objective = self.objectives[stage]
        for number, step in enumerate(objective.steps(part)):
            with seeded(0, stage, number):
                optimiser_step(objective, self.optimizers[stage], step)


class Theirs:
    """The same stages by the authors' path."""

    def __init__(self, ours: Ours, backbone: Path, *, joint: bool) -> None:
        with quiet_transformers():
            gpt2 = GPT2Model.from_pretrained(backbone, attn_implementation="eager")
        self.collaborative, self.content = (
            theirs.AuthorsModel(gpt2, users, items, joint=joint) for users, items in ours.tables
        )
        self.ours = ours
        self.optimizers = {
            "content": theirs.adam(self.content, 1e-4),
            "collaborative": theirs.adam(self.collaborative, 1e-4),
            "finetune": theirs.adam(self.collaborative, 1e-4),
        }

    def documents(self, stage: str, drawn: Any) -> list[Any]:
        """What was drawn, written out; examples have held-out items too."""
        corpus = self.ours.objectives[stage].corpus
        one = corpus.example if stage == "finetune" else corpus.document
        return [one(d.index, d.epoch) for d in drawn]

    def loss(self, stage: str, documents: list[Any]) -> torch.Tensor:
        """The objective of some documents."""
        weight = self.ours.weights[stage]
        loss: torch.Tensor
        if stage == "finetune":
            loss = theirs.finetuning_loss(
                self.collaborative,
                [example.document for example in documents],
                [example.holdout for example in documents],
                self.content,
                weight,
            )
        elif stage == "content":
            loss = theirs.language_loss(
                self.content, documents, "words", self.collaborative, weight
            )
        else:
            loss = theirs.language_loss(
                self.collaborative, documents, "items", self.content, weight
            )
        return loss

    def train(self, stage: str, documents: list[Any]) -> None:
        """One step, as theirs are: in training mode, with GPT-2's dropout."""
        self.collaborative.train()
        self.content.train()
        theirs.step(self.optimizers[stage], lambda: self.loss(stage, documents))


def first_documents(ours: Ours, stage: str, size: int) -> list[Any]:
    """The first documents of an epoch in the order in which they come, as a loader gives them."""
    objective = ours.objectives[stage]
    return stream(len(objective.corpus), Pass(stage, 0, size), objective.seed)
