"""What the stages are built from: backbone, tables, corpora, and the cost of a head."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.speed.flops import Cost, Shape, head
from benchmarks.speed.settings import Profile, profile_config
from cllm4rec.assembly import SAMPLE, Assembly, standardise
from cllm4rec.data.dataset import Dataset
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.content import ContentCorpus, build_content_corpus
from cllm4rec.errors import InputError
from cllm4rec.models.device import arithmetic
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM, RecLLM


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
        self._assemblies: dict[Profile, Assembly] = {}

    def assembly(self, profile: Profile) -> Assembly:
        """Backbone, tokens and settings of a profile, loaded once."""
        if profile not in self._assemblies:
            config = profile_config(profile, self.depth, self.overrides)
            loaded = Assembly.load(config, self.dataset)
            for other in self._assemblies.values():
                loaded = replace(loaded, words=other.words)  # equal, and a hundred megabytes
            self._assemblies[profile] = loaded
        return self._assemblies[profile]

    def texts(self) -> ContentCorpus:
        """The content corpus, written once for all depths.

        Raises:
            InputError: there are no texts.
        """
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
        return corpus

    def rec_llm(self, assembly: Assembly) -> RecLLM:
        """The model of finetuning and scoring."""
        model = assembly.rec_llm(self.entities(assembly, 0))
        self.wake(model, self.histories(assembly, 0.0))
        return model

    def wake(self, model: CollaborativeLLM, corpus: CollaborativeCorpus) -> None:
        """Let the backbone count: with a skip its projection starts from zero.

        A check would not see through that.
        """
        sample = range(min(SAMPLE, len(corpus)))
        standardise(model, [corpus.document(index, 0) for index in sample])
        if model.head.projection is not None:
            torch.nn.init.eye_(model.head.projection.weight)

    def histories(self, assembly: Assembly, dropout: float) -> CollaborativeCorpus:
        """Histories as documents."""
        return CollaborativeCorpus(
            self.dataset.part("train"),
            assembly.space,
            assembly.prompts,
            assembly.config.corpus,
            assembly.config.seed,
            user_token_dropout=dropout,
        )

    def entities(self, assembly: Assembly, side: int) -> torch.Tensor:
        """A token table; speed does not depend on what is in it."""
        start = assembly.warm_start()
        return (start.collaborative, start.content)[side]

    def shape(self, assembly: Assembly) -> tuple[Shape, int]:
        """The backbone's shape, and the bytes of a number of its arithmetic."""
        shape = Shape.read(assembly.backbone_folder, self.depth)
        return shape, arithmetic(assembly.config.backbone.dtype, assembly.device).itemsize

    def head(
        self,
        assembly: Assembly,
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
            assembly.words.shape[1],
            len(model.head.bias),
            itemsize,
            maps=sum(part is not None for part in maps),
            learning=learning,
            trained=items,
        )
