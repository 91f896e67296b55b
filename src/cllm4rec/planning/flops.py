"""Arithmetic and memory traffic of the method's stages, by formula.

Everything counted is a matrix product of ``m × k`` and ``k × n``: ``2·m·k·n`` floating point
operations (a multiplication and an addition each), and ``m·k + k·n + m·n`` numbers moved if every
operand is read once and the result written once. Norms, activations, softmaxes, means and gathers
are left out, as is customary: their operations do not count, their time does.

**Forward, per layer and real token.** With width d, q = query heads × head width, v = key-value
heads × head width (grouped-query attention: v < q) and MLP width f:

- queries, keys, values, output: ``2·d·(q + 2·v) + 2·q·d``
- MLP: ``2·3·d·f`` where it is gated (gate, up, down), ``2·2·d·f`` where it is not
- scores and weighted values: a token at place t (from 1) looks at t tokens, ``2·2·q·t``; over a
  document of length L that is ``2·q·L·(L + 1)``

**Where only the last position is asked for** (finetuning with held-out items, scoring), the last
layer's queries, output and MLP are needed at one position of each document, its keys and values at
all, and its attention looks once, at L tokens: ``4·q·L``. What a program computes beyond that does
not count.

**Backward.** Every product has two operands, and the gradient of each is one product of the same
size. Attention's two products are of activations, so both gradients are always needed: 2 × forward.
The other products are of activations and weights: the activations' gradient is always needed, since
the token tables below are trained: 1 ×; the weights' only where the backbone is trained: 1 × more.

**Heads.** A scored position costs ``2·d²`` for each square map (projection, skip) and ``2·d·n`` for
its scores over n candidates. The maps are trained: backward is 2 × forward. So is the item table
that scores are tied to; words are frozen: backward of their scores is 1 × forward.

**The linear model** costs 2 per kept weight of every item of a history.

**The optimiser** does next to no arithmetic, but Adam reads a parameter, its gradient and two
moments and writes all but the gradient: 28 bytes per trained number.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ADAM_BYTES = 28
"""Moved per trained float32 number by one step of Adam."""
KEYS_AND_VALUES = (1, 2)
"""Places of the keys' and the values' matrices in `Shape.products`."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a computation takes.

    Attributes:
        flops: floating point operations.
        moved: bytes read and written, each operand and result once.
    """

    flops: float = 0.0
    moved: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.flops + other.flops, self.moved + other.moved)

    def __mul__(self, times: float) -> "Cost":
        return Cost(self.flops * times, self.moved * times)

    @property
    def intensity(self) -> float:
        """Operations per byte moved."""
        return self.flops / self.moved if self.moved else 0.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths of a causal language model's layers.

    Attributes:
        depth: layers.
        size: width d of the hidden states.
        queries: q, query heads × head width.
        keys: v, key-value heads × head width.
        inner: width f of the MLP.
        gated: whether the MLP has a gate.
    """

    depth: int
    size: int
    queries: int
    keys: int
    inner: int
    gated: bool

    @classmethod
    def read(cls, folder: Path, depth: int | None = None) -> "Shape":
        """The shape of the causal LM in a folder, cut to ``depth`` layers.

        Llama's names and their relatives' are understood, and GPT-2's.
        """
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if "n_embd" in config:
            size, inner = config["n_embd"], config.get("n_inner") or 4 * config["n_embd"]
            return cls(depth or config["n_layer"], size, size, size, inner, gated=False)
        size, heads = config["hidden_size"], config["num_attention_heads"]
        head = config.get("head_dim") or size // heads
        keys = config.get("num_key_value_heads") or heads
        layers = depth or config["num_hidden_layers"]
        return cls(layers, size, heads * head, keys * head, config["intermediate_size"], gated=True)

    def products(self) -> list[tuple[int, int]]:
        """Inputs and outputs of one layer's weight matrices."""
        mlp = [(self.size, self.inner)] * (1 + self.gated) + [(self.inner, self.size)]
        attention = [(self.size, self.queries), (self.size, self.keys), (self.size, self.keys)]
        return [*attention, (self.queries, self.size), *mlp]

    @property
    def weights(self) -> int:
        """Numbers in the weight matrices of all layers."""
        return self.depth * sum(inputs * outputs for inputs, outputs in self.products())


def product(rows: float, inner: float, columns: float, itemsize: int) -> Cost:
    """One product of ``rows × inner`` and ``inner × columns``, of numbers ``itemsize`` bytes."""
    numbers = rows * inner + inner * columns + rows * columns
    return Cost(2 * rows * inner * columns, itemsize * numbers)


def projections(shape: Shape, tokens: int, itemsize: int, asked: int | None = None) -> Cost:
    """Forward products with the weights of all layers for one batch.

    Args:
        shape: of the backbone.
        tokens: of the batch.
        itemsize: bytes of one number.
        asked: positions whose hidden states are wanted; None for all.
    """
    layer, top = Cost(), Cost()
    for place, (inputs, outputs) in enumerate(shape.products()):
        layer += product(tokens, inputs, outputs, itemsize)
        rows = tokens if asked is None or place in KEYS_AND_VALUES else asked
        top += product(rows, inputs, outputs, itemsize)
    return layer * (shape.depth - 1) + top


def attention(
    shape: Shape,
    lengths: Sequence[int],
    itemsize: int,
    *,
    last_only: bool = False,
    causal: bool = True,
) -> Cost:
    """Forward products of queries with keys, and of weights with values, of all layers.

    Args:
        shape: of the backbone.
        lengths: tokens of each document.
        itemsize: bytes of one number.
        last_only: in the last layer only each document's last token looks.
        causal: a token looks at itself and what is before it; else at its whole document.
    """
    tokens = sum(map(int, lengths))
    seen = sum(n * (n + 1) / 2 if causal else n * n for n in map(int, lengths))
    # Scores stay in the cache: queries, keys and values are read, the outcome is written.
    layer = Cost(4 * shape.queries * seen, 2 * itemsize * tokens * (shape.queries + shape.keys))
    if not last_only:
        return layer * shape.depth
    moved = 2 * itemsize * (len(lengths) * shape.queries + tokens * shape.keys)
    return layer * (shape.depth - 1) + Cost(4 * shape.queries * tokens, moved)


def backbone(
    shape: Shape,
    lengths: Sequence[int],
    itemsize: int,
    *,
    learning: bool,
    trained: bool = False,
    last_only: bool = False,
    causal: bool = True,
) -> Cost:
    """One batch through the backbone.

    Args:
        shape: of the backbone.
        lengths: tokens of each document, padding not counted.
        itemsize: bytes of one number of its arithmetic.
        learning: whether there is a backward pass to the embeddings.
        trained: whether it reaches the backbone's weights too.
        last_only: whether only each document's last hidden state is wanted.
        causal: see `attention`.
    """
    asked = len(lengths) if last_only else None
    weighted = projections(shape, int(sum(lengths)), itemsize, asked)
    looked = attention(shape, lengths, itemsize, last_only=last_only, causal=causal)
    if not learning:
        return weighted + looked
    return weighted * (2 + trained) + looked * 3


def head(
    rows: int,
    size: int,
    candidates: int,
    itemsize: int,
    *,
    maps: int,
    learning: bool,
    trained: bool = True,
) -> Cost:
    """Scores of ``candidates`` at ``rows`` positions.

    Args:
        rows: scored positions.
        size: width d.
        candidates: items or words.
        itemsize: bytes of one number.
        maps: square maps before the scores.
        learning: whether there is a backward pass.
        trained: whether the candidates' table is trained.
    """
    square = product(rows, size, size, itemsize) * maps
    scores = product(rows, size, candidates, itemsize)
    return square * 3 + scores * (2 + trained) if learning else square + scores


def adam(parameters: int) -> Cost:
    """One step of Adam over so many float32 numbers."""
    return Cost(0.0, ADAM_BYTES * parameters)
