"""The scorer as ONNX: token ids in, user vector out, embedding and backbone included."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cllm4rec import progress
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.models.llms import CollaborativeLLM, recent_mean
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.tokens.batch import Batch
from cllm4rec.tokens.space import ANONYMOUS

TOLERANCE = 1e-4
"""Largest difference from torch in float32, relative to the largest number of the vectors."""
DOCUMENTS = 256
"""Users whose documents both sides read."""
ONE_FILE_BYTES = 1_500_000_000
"""Above this the weights get a file of their own; protobuf ends at 2 GB."""


class UserVector(nn.Module):
    """``CollaborativeLLM.last_queries`` without a shape that depends on what the tokens are.

    Args:
        model: in float32; its parts are shared.
    """

    def __init__(self, model: CollaborativeLLM) -> None:
        super().__init__()
        self.backbone = model.backbone.model
        self.head = model.head
        self.space = model.space
        self.decay = model.skip_decay
        self.register_buffer("words", model.embedding.words)
        embedding = model.embedding
        users = model.embedding.words[:0] if embedding.users is None else embedding.users
        tables = torch.cat([users, embedding.items.all()]).detach()
        self.register_buffer("entities", tables)

    words: Tensor
    entities: Tensor

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Vectors ``[batch, size]``.

        Args:
            tokens: ``int64 [batch, length]``, padded on the right with 0.
            lengths: ``int64 [batch]``, at least 1.
        """
        is_word, is_item = self.space.is_word(tokens), self.space.is_item(tokens)
        word = self.words[tokens.where(is_word, 0)]
        is_entity = tokens >= self.space.num_words
        entity = self.entities[(tokens - self.space.num_words).where(is_entity, 0)]
        embedded = torch.where(is_entity.unsqueeze(-1), entity, word)
        embedded = embedded.masked_fill((tokens < 0).unsqueeze(-1), 0.0)
        mean = recent_mean(embedded, is_item).unsqueeze(1)
        embedded = torch.where((tokens == ANONYMOUS).unsqueeze(-1), mean, embedded)
        hidden = self.backbone(inputs_embeds=embedded, use_cache=False).last_hidden_state
        last = (lengths - 1).reshape(-1, 1, 1).expand(-1, 1, hidden.shape[2])
        history = recent_mean(embedded, is_item, self.decay)
        query: Tensor = self.head(hidden.gather(1, last).squeeze(1), history)
        return query


def write_onnx(scorer: ModelScorer, audience: Audience, path: Path) -> dict[str, Any]:
    """Export, run both sides on real documents, and refuse what differs.

    Args:
        scorer: of the run.
        audience: whose documents are read, at most :data:`DOCUMENTS`.
        path: the file; large weights stand beside it as ``<name>.data``.

    Returns:
        For the manifest: ``documents`` and ``max_abs_difference`` from torch in float32,
        ``tolerance`` (absolute), and ``max_abs_difference_from_run`` from the run's own arithmetic.

    Raises:
        InputError: onnx, onnxscript or onnxruntime are not installed.
        IntegrityError: the vectors differ by more than the tolerance.
    """
    runtime = _load_runtime()
    histories = audience.histories.rows(np.arange(min(len(audience), DOCUMENTS)))
    scored = scorer.batches(audience.numbers[:DOCUMENTS], histories)
    batches = [batch for _, batch in scored]
    reference = in_float32(scorer.model)
    with progress.task("Exporting ONNX"):
        _export(UserVector(reference).eval(), batches[0], path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    difference = difference_from_run = largest = 0.0
    with torch.inference_mode():
        for batch in batches:
            given = {"tokens": batch.tokens.numpy(), "lengths": batch.lengths.numpy()}
            (found,) = session.run(None, given)
            wanted = reference.last_queries(batch).numpy()
            difference = max(difference, float(np.abs(found - wanted).max()))
            largest = max(largest, float(np.abs(wanted).max()))
            own = scorer.model.last_queries(batch.to(scorer.model.device)).cpu().numpy()
            difference_from_run = max(difference_from_run, float(np.abs(found - own).max()))
    tolerance = TOLERANCE * largest
    if not difference <= tolerance:
        raise IntegrityError(
            f"the ONNX model's vectors differ from torch's by {difference:.3g}, more than "
            f"{tolerance:.3g}; nothing is exported; leave it out with --no-onnx"
        )
    return {
        "documents": len(histories.offsets) - 1,
        "max_abs_difference": difference,
        "tolerance": tolerance,
        "max_abs_difference_from_run": difference_from_run,
    }


def in_float32(model: CollaborativeLLM) -> CollaborativeLLM:
    """A copy on the processor, in float32 throughout, LoRA adapters merged into the weights."""
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    backbone: Any = model.backbone.model
    if hasattr(backbone, "merge_and_unload"):
        model.backbone.model = backbone.merge_and_unload()
    model.backbone.autocast = False
    model.backbone.layers = None  # the quick layers hold weights of their own, in bfloat16
    return model.float()


def _export(model: UserVector, batch: Batch, path: Path) -> None:
    # Two rows and more than one token, whatever the first batch is: a 1 would be taken as fixed.
    tokens = torch.zeros(2, max(2, batch.tokens.shape[1]), dtype=torch.int64)
    tokens[:, : batch.tokens.shape[1]] = batch.tokens[0]
    lengths = batch.lengths[:1].repeat(2)
    rows, length = torch.export.Dim("batch"), torch.export.Dim("length")
    with quiet("torch.onnx"), torch.no_grad():
        program = torch.onnx.export(
            model,
            (tokens, lengths),
            dynamo=True,
            input_names=["tokens", "lengths"],
            output_names=["vector"],
            dynamic_shapes=({0: rows, 1: length}, {0: rows}),
            verbose=False,
        )
        assert program is not None
        size = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
        program.save(path, external_data=size > ONE_FILE_BYTES)


@contextmanager
def quiet(logger_name: str | None) -> Iterator[None]:
    """No warnings: exporter and quantiser give advice on their own parts and on other libraries.

    Args:
        logger_name: of the logger that is used; None for the root.
    """
    logger = logging.getLogger(logger_name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _load_runtime() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"the ONNX export needs {error.name}; leave it out with --no-onnx, or in the checkout: "
            f"pip install '.[export]' -c constraints.txt"
        ) from None
    return onnxruntime
