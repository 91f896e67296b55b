"""The stages as workloads, built from public parts as ``stages`` builds them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from cllm4rec import linear_prior
from cllm4rec.assembly import SAMPLE, Assembly, standardise
from cllm4rec.baselines import BASELINES, Context
from cllm4rec.bench.speed.flops import Cost, Shape, adam, backbone, head
from cllm4rec.bench.speed.workloads import Amount, Scoring, Training, Workload
from cllm4rec.config import Config, for_data, load_config
from cllm4rec.corpora.collaborative import CollaborativeCorpus
from cllm4rec.corpora.content import ContentCorpus, build_content_corpus
from cllm4rec.corpora.document import Document
from cllm4rec.corpora.recommendation import RecommendationCorpus, prediction_document
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import ConfigError, InputError
from cllm4rec.evaluation.protocol import DEPTH, Sample, validation_sample
from cllm4rec.linear_prior import LinearPrior
from cllm4rec.models.backbone import arithmetic
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM, RecLLM
from cllm4rec.ranking import rank_all
from cllm4rec.recommender import SCORING_TOKENS, ModelScorer, Recommender
from cllm4rec.seeds import derived_seed, generator
from cllm4rec.stages.blending import blend_reports
from cllm4rec.tokens.batch import Batch, length_buckets
from cllm4rec.training.language import LanguageObjective
from cllm4rec.training.loop import Pass
from cllm4rec.training.optim import adam as optimiser
from cllm4rec.training.recommendation import FinetuneObjective
from cllm4rec.training.stream import Drawn

PRIOR_SETTINGS = {"l2": 200.0, "alpha": 0.0, "windows": False, "decay": 1.0}
"""Of the linear prior: its cost does not depend on them, so nothing is searched."""
USERS = 128
"""Users of one run of a scoring stage."""

Profile = Literal["frozen", "holdout", "next"]

TRAINING: dict[str, Profile] = {
    "content": "frozen",
    "collaborative": "frozen",
    "finetune-frozen": "frozen",
    "finetune-holdout": "holdout",
    "finetune-next": "next",
}
"""Training stages and the settings they are measured under."""
SCORING = ("evaluate", "recommend", "request")
"""Stages that score; measured under the settings of ``finetune-holdout``."""
STAGES = (*TRAINING, *SCORING)


def profile_config(profile: Profile, depth: int, overrides: Sequence[str]) -> Config:
    """Settings at a depth: ``SETS``, ``SEQUENCES``, or ``SETS`` with a frozen backbone.

    Raises:
        ConfigError: an override names the order, which the profiles decide.
    """
    given = load_config(None, [*overrides, f"backbone.depth={depth}", "model.warm_start=none"])
    if given.corpus.order != "auto":
        raise ConfigError(
            "setting corpus.order: `bench speed` measures both orders; leave it out of --set"
        )
    config = for_data(given, newest_held_out=profile == "next")
    if profile == "frozen":
        frozen = config.backbone.model_copy(update={"mode": "frozen"})
        config = config.model_copy(update={"backbone": frozen})
    return config


class Builder:
    """Workloads at one depth; models of one profile share their parts.

    Args:
        dataset: prepared data.
        depth: layers kept.
        overrides: settings on top of the profiles'.
        scratch: where the content corpus is, or will be.
        prior: of the linear prior; None to leave it out.
    """

    def __init__(
        self,
        dataset: Dataset,
        depth: int,
        overrides: Sequence[str],
        scratch: Path,
        prior: LinearPrior | None,
    ) -> None:
        self.dataset, self.depth, self.overrides = dataset, depth, overrides
        self.scratch, self.prior = scratch, prior
        self._assemblies: dict[Profile, Assembly] = {}
        self._scorer: ModelScorer | None = None

    def assembly(self, profile: Profile) -> Assembly:
        """Backbone, tokens and settings of a profile, loaded once."""
        if profile not in self._assemblies:
            config = profile_config(profile, self.depth, self.overrides)
            loaded = Assembly.load(config, self.dataset)
            for other in self._assemblies.values():
                loaded = replace(loaded, words=other.words)  # equal, and a hundred megabytes
            self._assemblies[profile] = loaded
        return self._assemblies[profile]

    def build(self, stages: Iterable[str]) -> Iterator[Workload]:
        """The stages' workloads, in order, each built when it is asked for."""
        makers: dict[str, Callable[[], Workload]] = {
            "content": self._content,
            "collaborative": self._collaborative,
            "finetune-frozen": partial(self._holdout, "finetune-frozen", "frozen"),
            "finetune-holdout": partial(self._holdout, "finetune-holdout", "holdout"),
            "finetune-next": self._next,
            **{name: partial(self._scoring, name) for name in SCORING},
        }
        for stage in stages:
            yield makers[stage]()

    def _content(self) -> Workload:
        assembly = self.assembly("frozen")
        folder = self.scratch / "corpus"
        if folder.is_dir():
            corpus = ContentCorpus.open(folder)
        else:
            corpus = build_content_corpus(
                self.dataset.texts,
                assembly.space,
                assembly.tokenizer,
                assembly.prompts,
                assembly.config.corpus,
                folder,
            )
        if len(corpus) == 0:
            raise InputError("these data have no texts; leave the stage `content` out of --stages")
        model = assembly.content_llm(self._entities(assembly, 0), corpus.vocabulary())
        return self._language("content", assembly, model, corpus)

    def _collaborative(self) -> Workload:
        assembly = self.assembly("frozen")
        corpus = self._histories(assembly, 0.0)
        collaborative = assembly.collaborative_llm(assembly.warm_start())
        self._wake(collaborative, [corpus.document(i, 0) for i in range(min(SAMPLE, len(corpus)))])
        return self._language("collaborative", assembly, collaborative, corpus)

    def _language(
        self,
        stage: str,
        assembly: Assembly,
        model: ContentLLM | CollaborativeLLM,
        corpus: Any,
    ) -> Workload:
        config = assembly.config.pretrain
        objective = LanguageObjective(
            model,
            corpus,
            self._entities(assembly, 1),
            mutual_weight=config.mutual_weight,
            batch_tokens=config.batch_tokens,
            seed=assembly.config.seed,
        )
        optimizer = optimiser(
            objective.parameters(),
            learning_rate=config.learning_rate,
            maps_rate=config.maps_rate,
            weight_decay=config.weight_decay,
        )
        return self._training(stage, assembly, objective, optimizer)

    def _holdout(self, stage: str, profile: Profile) -> Workload:
        assembly = self.assembly(profile)
        config = assembly.config.finetune
        corpus = RecommendationCorpus(
            self.dataset.part("train"),
            assembly.space,
            assembly.prompts,
            assembly.config.corpus,
            assembly.config.seed,
            holdout=config.holdout,
            user_token_dropout=config.user_token_dropout,
        )
        model = self._rec_llm(assembly)
        objective = FinetuneObjective(
            model,
            corpus,
            self._entities(assembly, 1) if config.mutual_weight > 0 else None,
            mutual_weight=config.mutual_weight,
            batch_users=config.batch_users,
            batch_tokens=config.batch_tokens,
            seed=assembly.config.seed,
        )
        return self._finetuning(stage, assembly, objective)

    def _next(self) -> Workload:
        assembly = self.assembly("next")
        config = assembly.config.finetune
        corpus = self._histories(assembly, config.user_token_dropout)
        objective = LanguageObjective(
            self._rec_llm(assembly),
            corpus,
            self._entities(assembly, 1) if config.mutual_weight > 0 else None,
            mutual_weight=config.mutual_weight,
            batch_tokens=config.batch_tokens,
            seed=assembly.config.seed,
        )
        return self._finetuning("finetune-next", assembly, objective)

    def _finetuning(
        self,
        stage: str,
        assembly: Assembly,
        objective: LanguageObjective | FinetuneObjective,
    ) -> Workload:
        config = assembly.config.finetune
        optimizer = optimiser(
            objective.parameters(),
            learning_rate=config.learning_rate,
            maps_rate=config.maps_rate,
            backbone_rate=config.backbone_rate,
            weight_decay=config.weight_decay,
        )
        return self._training(stage, assembly, objective, optimizer)

    def _training(
        self,
        stage: str,
        assembly: Assembly,
        objective: LanguageObjective | FinetuneObjective,
        optimizer: torch.optim.Optimizer,
    ) -> Workload:
        step, mean_tokens = _typical_step(objective, stage)
        shape, itemsize = self._shape(assembly)
        trained = objective.model.backbone.trained
        parameters = sum(p.numel() for p in objective.parameters().values())
        tokens = padded = 0
        cost = Cost()
        batches: Sequence[Any] = objective.batches(step)
        for batch in batches:
            prompts: Batch = getattr(batch, "prompts", batch)
            lengths = prompts.lengths.tolist()
            tokens, padded = tokens + sum(lengths), padded + prompts.tokens.numel()
            is_asked_once = isinstance(objective, FinetuneObjective)
            cost += backbone(
                shape, lengths, itemsize, learning=True, trained=trained, last_only=is_asked_once
            )
            scored = len(lengths) if is_asked_once else objective.counts(batch)["likelihood"]
            cost += self._head(assembly, objective.model, scored, itemsize, learning=True)
        cost += adam(parameters)
        users = tokens / mean_tokens if mean_tokens else len(step)
        amount = Amount(users, tokens, padded, cost)
        return Training(stage, self.depth, objective, optimizer, step, amount)

    def _scoring(self, stage: str) -> Workload:
        assembly = self.assembly("holdout")
        if self._scorer is None:
            self._scorer = ModelScorer(
                self._rec_llm(assembly), assembly, prior=self.prior, share=0.5
            )
        scorer = self._scorer
        if stage == "evaluate":
            whole = validation_sample(self.dataset, assembly.config.seed)
            rows = _some(len(whole.users), assembly.config.seed)
            sample = Sample(whole.users[rows], whole.known.rows(rows), whole.relevant.rows(rows))
            call: Callable[[], Any] = partial(blend_reports, scorer, sample)
            return self._scored(stage, scorer, sample.users, sample.known, call)
        known = self.dataset.known("recommend")
        chosen = np.flatnonzero(known.counts())
        if stage == "recommend":
            users = chosen[_some(len(chosen), assembly.config.seed)].astype(np.int32)
            call = partial(rank_all, scorer, users, known, DEPTH)
            return self._scored(stage, scorer, users, known.rows(users), call)
        median = chosen[np.argsort(known.counts()[chosen], kind="stable")[len(chosen) // 2]]
        ids = self.dataset.items.ids(known.of(int(median)))
        call = partial(Recommender(scorer).recommend_for_history, ids, 10)
        history = known.rows(np.array([median]))
        return self._scored(stage, scorer, np.array([-1], np.int32), history, call)

    def _scored(
        self,
        stage: str,
        scorer: ModelScorer,
        users: np.ndarray,
        history: Interactions,
        call: Callable[[], Any],
    ) -> Workload:
        assembly = scorer.assembly
        shape, itemsize = self._shape(assembly)
        documents = [self._question(scorer, int(u), history.of(row)) for row, u in enumerate(users)]
        lengths = np.array([len(document) for document in documents])
        padded, cost = 0, Cost()
        for rows in length_buckets(lengths, max_tokens=SCORING_TOKENS, max_rows=None, rng=None):
            padded += len(rows) * int(lengths[rows].max())
            some = lengths[rows].tolist()
            cost += backbone(shape, some, itemsize, learning=False, last_only=True)
            cost += self._head(assembly, scorer.model, len(rows), itemsize, learning=False)
        if scorer.prior is not None:
            kept = max(array.size for array in scorer.prior.arrays().values())
            products = len(history) * kept / assembly.space.num_items
            cost += Cost(2 * products, 4 * products)
        amount = Amount(len(users), int(lengths.sum()), padded, cost)
        return Scoring(stage, self.depth, scorer, users, history, documents, amount, call)

    def _question(self, scorer: ModelScorer, user: int, history: np.ndarray) -> Document:
        config = scorer.assembly.config
        named = not (scorer.anonymous or user < 0 or not scorer.is_trained[user])
        return prediction_document(
            user if named else None,
            history,
            scorer.assembly.space,
            scorer.assembly.prompts,
            config.corpus,
            derived_seed(config.seed, "prediction"),
            target=config.finetune.target,
        )

    def _rec_llm(self, assembly: Assembly) -> RecLLM:
        model = assembly.rec_llm(self._entities(assembly, 0))
        corpus = self._histories(assembly, 0.0)
        self._wake(model, [corpus.document(i, 0) for i in range(min(SAMPLE, len(corpus)))])
        return model

    def _wake(self, model: CollaborativeLLM, documents: list[Document]) -> None:
        """Let the backbone count: with a skip its projection starts from zero.

        A check would not see through that.
        """
        standardise(model, documents)
        if model.head.projection is not None:
            torch.nn.init.eye_(model.head.projection.weight)

    def _histories(self, assembly: Assembly, dropout: float) -> CollaborativeCorpus:
        return CollaborativeCorpus(
            self.dataset.part("train"),
            assembly.space,
            assembly.prompts,
            assembly.config.corpus,
            assembly.config.seed,
            user_token_dropout=dropout,
        )

    def _entities(self, assembly: Assembly, side: int) -> torch.Tensor:
        """A token table; speed does not depend on what is in it."""
        start = assembly.warm_start()
        return (start.collaborative, start.content)[side]

    def _shape(self, assembly: Assembly) -> tuple[Shape, int]:
        """The backbone's shape, and the bytes of a number of its arithmetic."""
        shape = Shape.read(assembly.backbone_folder, self.depth)
        return shape, arithmetic(assembly.config.backbone.dtype).itemsize

    def _head(
        self,
        assembly: Assembly,
        model: ContentLLM | CollaborativeLLM,
        rows: int,
        itemsize: int,
        *,
        learning: bool,
    ) -> Cost:
        items = isinstance(model, CollaborativeLLM)
        maps = [model.head.projection, getattr(model.head, "skip", None)]
        return head(
            rows,
            assembly.words.shape[1],
            len(model.head.bias),
            itemsize,
            maps=sum(part is not None for part in maps),
            learning=learning,
            trained=items,
        )


def fitted_prior(dataset: Dataset) -> LinearPrior | None:
    """A linear prior of fixed settings; None where the catalogue is too large for one."""
    context = Context.of(dataset, 0)
    if BASELINES["ease"].unavailable(context):
        return None
    return linear_prior.fit(dataset, PRIOR_SETTINGS, context)


def _typical_step(
    objective: LanguageObjective | FinetuneObjective, stage: str
) -> tuple[Sequence[Drawn], float]:
    """One step of an epoch, and the mean tokens of a document where steps differ in length.

    Language batches are made of an epoch's documents of similar length: the one in the middle has a
    typical share of padding, but not a typical number of documents. Those of a sample of documents
    would have more padding than the real ones. Finetuning's users are drawn by chance.
    """
    steps = objective.steps(Pass(stage, 0, len(objective.corpus)))
    if not isinstance(objective, LanguageObjective):
        return steps[0], 0.0
    lengths = objective.corpus.lengths()
    by_length = sorted(steps, key=lambda step: max(int(lengths[d.index]) for d in step))
    return by_length[len(by_length) // 2], float(lengths.mean())


def _some(size: int, seed: int) -> np.ndarray:
    """At most `USERS` of so many rows, by chance, ascending."""
    chosen = generator(seed, "speed").permutation(size)[:USERS]
    return np.sort(chosen)
