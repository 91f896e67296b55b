"""initialise: initial token vectors and the linear model, both tuned on validation."""

import time
from dataclasses import dataclass
from typing import Any

import safetensors.numpy
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cllm4rec.baselines import Context
from cllm4rec.config import Config
from cllm4rec.ensemble.linear import (
    LinearModel,
    as_chosen,
    load_linear,
    save_linear,
    search,
    wrong_setting,
)
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.ease import MAX_ITEMS
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.models.backbone import num_layers
from cllm4rec.models.build import collaborative_llm
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.models.pretrained import find_backbone
from cllm4rec.run import RunDir, atomic_write, exclusive, read_json, write_json
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.chosen import Chosen
from cllm4rec.stages.setup import Setup
from cllm4rec.start.initial import initial_values

SECTIONS = {"backbone", "model"}
"""Sections of the configuration that affect the result."""


@dataclass(frozen=True)
class Initial:
    """The stage's result.

    Attributes:
        tensors: of `cllm4rec.start.initial.Start`, by name; z^c only if there are texts.
        linear: the linear model, if any.
        settings: of the initial vectors, chosen by the search.
        texts: space of the items' words; None without words.
    """

    tensors: dict[str, Tensor]
    linear: LinearModel | None
    settings: dict[str, float]
    texts: TextSpace | None = None

    @classmethod
    def of(cls, setup: Setup, *, linear: bool = True, texts: bool = True) -> "Initial":
        """Compute all.

        Args:
            setup: data, settings and language model.
            linear: whether to fit a linear model, which takes most of the time.
            texts: whether to keep the space of the items' words, which the linear model uses too.
        """
        dataset, config = setup.dataset, setup.config
        chosen = Chosen.before(setup.run)
        start = initial_values(
            dataset,
            config,
            setup.lm,
            setup.task.space.num_users,
            None if chosen is None else chosen.start,
        )
        tensors = {
            "collaborative": start.collaborative,
            "collaborative_users": start.collaborative_users,
            "bias": start.bias,
            "log_scale": torch.tensor(start.log_scale),
        }
        if config.model.content and dataset.texts.any():
            tensors |= {"content": start.content, "content_users": start.content_users}
        found = space = None
        seed = derived_seed(config.seed, "linear prior")
        context = Context.of(dataset, seed)
        if not config.model.content:
            context = context.without_texts()
        train, reader = dataset.part("train"), reading_settings(config)
        if linear and chosen is None:
            selection = Selection.of(dataset, config.evaluate.selection, seed)
            found = search(train, selection, context, reader=reader)
        elif linear and chosen is not None and chosen.linear is not None:
            found = as_chosen(train, chosen.linear, context, reader)
        if texts and any(context.words):
            space = context.text_space
        return cls(tensors, found, start.settings, space)

    @classmethod
    def read(cls, run: RunDir) -> "Initial":
        """Read and verify the result from the run.

        Raises:
            RunError: the stage is not done.
            IntegrityError: a file is missing or has changed, or the record was edited.
        """
        run.require("initialise")
        record = run.info("initialise")
        linear, texts = record["linear"], None
        if linear is not None:
            record.refuse("linear", wrong_setting(linear))
        if "/".join(WORDS) in record["files"]:
            names = read_json(run.file(*WORDS))
            texts = TextSpace.of_arrays(safetensors.numpy.load_file(run.file(*TEXTS)), names)
        return cls(
            load_file(run.file("initial", "start.safetensors")),
            None if linear is None else load_linear(run.file(*LINEAR), linear),
            record["start"],
            texts,
        )

    @property
    def content(self) -> tuple[Tensor, Tensor] | None:
        """Initial z^c of users and items; None without texts."""
        if "content" not in self.tensors:
            return None
        return self.tensors["content_users"], self.tensors["content"]

    def collaborative_llm(self, setup: Setup, *, dropout: float = 0.0) -> CollaborativeLLM:
        """The collaborative LLM before any training."""
        tensors = self.tensors
        users, items = tensors["collaborative_users"], tensors["collaborative"]
        model = collaborative_llm(setup.lm, setup.config, users, items, dropout=dropout)
        with torch.no_grad():
            model.head.bias.copy_(tensors["bias"])
            model.head.log_scale.copy_(tensors["log_scale"])
        return model


def item_texts(config: Config, items: int) -> str:
    """``model.item_texts`` for a catalogue of ``items``, where texts help: never ``auto``."""
    kind = config.model.item_texts
    if kind == "auto":
        return "read" if items <= MAX_ITEMS else "none"
    return kind


def reading_settings(config: Config) -> dict[str, Any]:
    """Which language model reads the items' texts; depth 0: none."""
    depth = min(config.model.reading_depth, num_layers(find_backbone(config.backbone.name)))
    return {"backbone": config.backbone.name, "depth": depth}


LINEAR = ("initial", "linear.safetensors")
TEXTS, WORDS = ("initial", "texts.safetensors"), ("initial", "texts.json")


@exclusive
def initialise(run: RunDir, config: Config) -> dict[str, Any]:
    """Compute initial vectors and the linear model; skips a finished call.

    Returns:
        The stage's record: settings of both, seconds.

    Raises:
        RunError: the run is not prepared.
    """
    with Setup.begun(run, config) as setup:
        return initialise_with(setup)


def initialise_with(setup: Setup) -> dict[str, Any]:
    """The stage, given loaded inputs; the main process does it, and others wait."""
    return setup.world.of_main(lambda: _initialise(setup))


def _initialise(setup: Setup) -> dict[str, Any]:
    started_at_s = time.perf_counter()
    run, config = setup.run, setup.config
    identity = setup.identity(
        SECTIONS,
        run.info("prepare")["files"],
        users=setup.task.space.num_users,
        selection=config.evaluate.selection,
    )
    if run.has_result("initialise", identity):
        return dict(run.info("initialise"))
    initial = Initial.of(setup, linear=config.model.linear)
    # Before its files are replaced: a kill in between must not leave a record of other files.
    run.forget("initialise", "pretrain")
    path = run.file("initial", "start.safetensors")
    with atomic_write(path) as temporary:
        tensors = {name: tensor.contiguous().clone() for name, tensor in initial.tensors.items()}
        save_file(tensors, temporary)
    files = [path]
    if initial.linear is not None:
        files.append(run.file(*LINEAR))
        save_linear(initial.linear, run.file(*LINEAR))
    if initial.texts is not None and initial.texts.factors.shape[1]:
        files += [run.file(*TEXTS), run.file(*WORDS)]
        with atomic_write(run.file(*TEXTS)) as temporary:
            safetensors.numpy.save_file(initial.texts.arrays(), temporary)
        write_json(run.file(*WORDS), initial.texts.names())
    run.finish(
        "initialise",
        files,
        time.perf_counter() - started_at_s,
        identity=identity,
        start=initial.settings,
        linear=None if initial.linear is None else initial.linear.settings,
    )
    return dict(run.info("initialise"))
