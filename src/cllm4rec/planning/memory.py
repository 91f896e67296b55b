"""Memory of every stage by formula, in bytes, from what the code holds at once.

Numbers are float32 unless said. With I items, U users, width d, a table is ``T = 4·I·d`` (and
``4·U·d`` where user tokens are read). Copies of it that finetuning holds, by name:

- the parameter, its gradient and Adam's two moments (Kingma and Ba, ICLR 2015): 4; of a lazy user
  table (`training.lazy`) there is no gradient
- the moving average and the best epoch: 2 (`training.average`, `stages.epochs`)
- the initial vectors of both sides and, with texts, z^c: up to 3 (`stages.finetune`); where C-steps
  train z^c, its gradient and moments too: 3 more
- within a step: the softmax's gradient, its scaled copy, and the gradient of the looked-up rows: 3
  (`models.losses.LinearCrossEntropy`)

Beside tables: scores of a block of users (`ranking.blocks`), scores of the calibration that places
items by their texts (`recommender.calibration`: six copies of at most 25 million), and what the
process needs before it reads anything, which is measured.
"""

from collections.abc import Container

from cllm4rec.baselines.ease import MAX_ITEMS_BY_NEIGHBOURS, NEIGHBOURS
from cllm4rec.config import Config
from cllm4rec.ensemble.linear import kept_weights
from cllm4rec.linear.decomposition import EXACT_ROWS
from cllm4rec.linear.ease import FLOAT64_ITEMS, MAX_ITEMS
from cllm4rec.models.device import KEPT_NUMBERS
from cllm4rec.planning.size import Model, Size
from cllm4rec.ranking.scoring import BLOCK_USERS
from cllm4rec.recommender.calibration import MOST_SCORES
from cllm4rec.stages.initialise import item_texts

NUMBER = 4
PROCESS = 640e6
"""Libraries, tokenizer and the first batches of a process that trains or scores on a processor,
with torch's build for processors; a CUDA build takes some 400 MB more."""
PLACED_COPIES = 6
"""Copies of a block of scores in the calibration of `recommender.calibration`."""
EXACT_BYTES = {True: 8 * 4, False: 4 * 7}
"""Bytes per entry of the dense linear model while it is fitted: four matrices in float64 up to
`FLOAT64_ITEMS` items, seven in float32 above, by measurement (20,000 items: 12.0 GB)."""
KERNEL_CACHES, KERNELS_OF_A_STEP, KERNELS_OF_LISTS = 300e6, 6e6, 60e6
"""Kernels and freed blocks that a process keeps while shapes change, by measurement."""
LISTED_ROW = 200
"""Bytes per row of a shard's lists while they are written, by measurement."""
SHARD_ROWS = 10_000 * 100
TEXT_DIMENSIONS, TEXT_BYTES = 400, 15
"""Of the space of the items' words; bytes per item and dimension at once, by measurement."""
TEXT_PAIR_BYTES = 10
"""Bytes per pair of texts where few are decomposed exactly: their products in float64, first
sparse, by measurement."""
PREPARE_PROCESS, PREPARE_ENTITY = 0.2e9, 220
"""Of ``prepare`` beside its limit: the process, and bytes per user and item, by measurement."""
SPILLED_ROW = 80
"""Bytes on disk per row of the log while it is prepared, by measurement."""


def tables(size: Size, model: Model, config: Config) -> tuple[float, float]:
    """Bytes of one copy of the item table and of the user table (0 where none is read)."""
    width = NUMBER * model.shape.size
    reads_users = config.finetune.user_token_dropout < 1 or config.pretrain.enabled
    return width * size.items, width * size.users if reads_users else 0.0


def text_dimensions(size: Size, config: Config) -> int:
    """Width of the texts that items are made of in finetuning, where there are texts; or 0."""
    parts = {"none": 0, "words": 1, "read": 2}[item_texts(config, size.items)]
    return parts * TEXT_DIMENSIONS


def trained_bytes(size: Size, model: Model, config: Config) -> float:
    """Bytes of all trained parameters: tables, head, map of texts and, if trained, the backbone."""
    maps = config.model.projection + config.model.history_skip
    head = NUMBER * (maps * model.shape.size**2 + size.items)
    head += NUMBER * text_dimensions(size, config) * model.shape.size
    backbone = NUMBER * model.shape.weights if config.backbone.mode == "full" else 0
    return sum(tables(size, model, config)) + head + backbone


def linear_model(size: Size, config: Config) -> float:
    """Bytes of the finished linear model; 0 without one.

    All weights, or number and column of each that is kept.
    """
    if not config.model.linear or size.items > MAX_ITEMS_BY_NEIGHBOURS:
        return 0.0
    kept = NEIGHBOURS if size.items > MAX_ITEMS else kept_weights(size.items)
    return (4.0 if kept == size.items else 8.0) * kept * size.items


def finetuning(
    size: Size,
    model: Model,
    config: Config,
    *,
    ranks: int = 1,
    divided: Container[str] = (),
    sharded: bool = False,
    lazy: bool = False,
    at_once: float | None = None,
) -> dict[str, float]:
    """Bytes on each of ``ranks`` processes, by part; the parts are held at once.

    Args:
        size: of the problem.
        model: widths.
        config: complete settings.
        ranks: processes.
        divided: which of the tables ``items`` and ``users`` are divided among them, those of z^c
            too (`training.divided`); a validation holds the items whole.
        sharded: whether the trained backbone is (`training.sharded`); a validation holds it whole.
        lazy: whether the user tables are (`training.lazy`).
        at_once: tokens of a micro-batch; None for ``finetune.batch_tokens``.
    """
    items, users = tables(size, model, config)
    part = items / ranks if "items" in divided else items
    users_part = users / ranks if "users" in divided else users
    parts, without = part + users_part, users_part if lazy else 0.0
    trained = trained_bytes(size, model, config) - items - users + parts
    if sharded:
        trained -= NUMBER * model.shape.weights * (1 - 1 / ranks)
    texts, width, depth = config.model.content, model.shape.size, model.shape.depth
    # With checkpointing every layer's input, and all of the layer that is computed again.
    recomputed = config.backbone.activation_checkpointing
    kept = KEPT_NUMBERS + depth if recomputed else KEPT_NUMBERS * depth
    copies = 1 + (config.finetune.average > 0)
    scores = 3.0 * NUMBER * min(size.users, BLOCK_USERS) * size.items
    gathered = items if "items" in divided else 0.0
    phases = {
        "gradients within a step": copies * trained + 3 * part,
        "scores of a block of users": copies * trained + scores + gathered,
    }
    if texts:
        few = min(size.users, 1000, max(1, MOST_SCORES // size.items))
        factors = NUMBER * TEXT_DIMENSIONS * size.items
        phases["placing items by their texts"] = PLACED_COPIES * NUMBER * few * size.items + factors
    last = max(phases, key=phases.__getitem__)
    extra = phases[last] - (0 if last.startswith("placing") else copies * trained)
    gathered = gathered if last.startswith("scores") else 0.0
    return {
        "process": PROCESS,
        "backbone and words": NUMBER * (model.words * width + 2 * model.shape.weights),
        "activations": NUMBER * kept * (at_once or config.finetune.batch_tokens) * width,
        "parameters": trained,
        "gradients": trained - without,
        "optimiser state": 2 * trained,
        "average and best epoch": 0 if last.startswith("placing") else copies * trained,
        "initial vectors": (2 if texts else 1) * (items + users),
        "texts of the items": float(NUMBER * text_dimensions(size, config) * size.items),
        "content vectors": texts
        * (4 * parts - without if config.finetune.content_steps else parts),
        "linear model": 3 * linear_model(size, config),
        "kernels": min(KERNEL_CACHES, KERNELS_OF_A_STEP * size.users / config.finetune.batch_users),
        "item table, gathered": gathered,
        last: extra - gathered,
    }


ON_THE_HOST = ("process", "initial vectors", "linear model", "kernels")
"""Parts of `finetuning` that stay in the machine's memory where the model is on a device."""


def start(size: Size, model: Model, config: Config) -> dict[str, float]:
    """Bytes of ``initialise``, in one process: its largest arrays at once, by part."""
    factors = model.shape.size * 0.67 if config.model.warm_start == "factors" else 0
    parts = {
        "process": PROCESS,
        # X, its transpose and a normalised copy: numbers and columns.
        "interactions": 3 * 8.0 * size.interactions,
        # The randomised decomposition's two sides in float64 (Halko et al. 2011), twice.
        "factors": 2 * 8.0 * factors * (size.users + size.items),
        "words": float(NUMBER * model.words * model.shape.size),
        "texts": float(_texts(size.items) * config.model.content),
    }
    if config.model.linear and size.items <= MAX_ITEMS:
        bytes_of = EXACT_BYTES[size.items <= FLOAT64_ITEMS]
        parts["linear model"] = bytes_of * float(size.items) ** 2
    else:
        parts["linear model"] = 4 * linear_model(size, config)
    return parts


def _texts(items: int) -> int:
    if items <= EXACT_ROWS:
        return TEXT_PAIR_BYTES * items**2
    return TEXT_BYTES * TEXT_DIMENSIONS * items


def lists(size: Size, model: Model, config: Config) -> dict[str, float]:
    """Bytes of a process of ``recommend --all``, by part."""
    items, users = tables(size, model, config)
    return {
        "process": PROCESS,
        "backbone and words": NUMBER * (model.words * model.shape.size + 2 * model.shape.weights),
        "tables": items + users,
        "ids and histories": 24.0 * (size.users + size.items) + 5.0 * size.interactions,
        "linear model": 2 * linear_model(size, config),
        "kernels": KERNELS_OF_LISTS,
        "lists of a shard": LISTED_ROW * min(SHARD_ROWS, 100.0 * size.users),
    }


def prepare(size: Size, limit: float) -> float:
    """Bytes of ``prepare`` with DuckDB's ``data.memory_limit``."""
    return limit + PREPARE_PROCESS + PREPARE_ENTITY * (size.users + size.items)
