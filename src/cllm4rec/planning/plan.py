"""The plan for a size: memory, operations, hours, settings, and what breaks first."""

import os
from typing import Any

from cllm4rec.baselines.ease import MAX_ITEMS_BY_NEIGHBOURS
from cllm4rec.config import Config, Request, resolve, trained_as
from cllm4rec.errors import InputError
from cllm4rec.planning import memory
from cllm4rec.planning.devices import Device, device_named
from cllm4rec.planning.flops import Shape
from cllm4rec.planning.size import TRAINED_SHARE, Model, Size
from cllm4rec.planning.work import (
    epochs,
    one_list,
    placing,
    softmax_items,
    step,
    steps_per_epoch,
    tokens_at_once,
    validated,
)
from cllm4rec.progress import duration
from cllm4rec.training.divided import DIVIDED_FROM, LAZY_FROM
from cllm4rec.training.world import SHARDED_FROM

PREPARE, RANK = "prepare", "finetuning, each rank"
PREPARE_LIMIT = 1e9
PREPARE_S_A_ROW = 5e-6
"""Processor seconds of ``prepare`` per row of the log (10⁸ rows: 498 s, docs/scale.md)."""
PLACED_S_A_SCORE, PLACED_S_A_PAIR, INDEXED_S_AN_ITEM = 9e-8, 4.5e-8, 9e-6
"""Processor seconds of what finetuning ends with, by measurement; beside a device's peaks."""
SPARK_ROWS = 100_000_000
MANY_STEPS, MOST_USERS = 20_000, 4_096
"""Steps of an epoch from which on larger ones are advised, and their most users."""
RANKS_A_MACHINE = 8
MOST_DEPTH = 2
"""Layers of the model that is timed; operations carry over to more."""
MANY_CANDIDATES = 100_000
"""Of a training softmax, from which on a sample of half as many is advised."""
MILLION = 1_000_000


def plan(
    size: Size,
    request: Request,
    *,
    device: str | None = None,
    devices: int = 1,
    host_memory: float | None = None,
) -> dict[str, Any]:
    """What a size takes.

    Args:
        size: users, items and interactions.
        request: settings; those of a preset unless given.
        device: name of a device in `planning.devices`, by whose peak figures time is estimated;
            None measures this machine's processor for about 30 seconds.
        devices: number of devices, or of processes.
        host_memory: bytes of a machine's memory; None: of this one.

    Returns:
        ``memory`` (bytes by stage and part), ``time`` and what is ``not_in_time``, ``settings`` and
        ``breaks`` (first first).

    Raises:
        InputError: a number does not fit the others, or the device is not known.
    """
    if size.interactions < size.users:
        raise InputError(
            f"--interactions {size.interactions} are fewer than --users {size.users}; "
            f"everyone has at least one"
        )
    known = None if device is None else device_named(device)
    config = resolve(request, newest_held_out=False)
    model = Model.of(config.backbone)
    host = host_memory or _memory_here()
    divided = _divided(size, model, config) if devices > 1 else frozenset[str]()
    is_full = config.backbone.mode == "full"
    sharded = devices > 1 and is_full and model.shape.weights >= SHARDED_FROM
    at_once = tokens_at_once(size, model, config, None if known is None else known.memory)
    shared: dict[str, Any] = {"divided": divided, "sharded": sharded}
    lazy = known is None and _is_lazy(size, model, config, devices)
    ranked = memory.finetuning(
        size, model, config, ranks=devices, at_once=at_once, lazy=lazy, **shared
    )
    stages = {
        PREPARE: {"limit, process and ids": memory.prepare(size, PREPARE_LIMIT)},
        "start": memory.start(size, model, config),
        RANK: ranked,
        "lists": memory.lists(size, model, config),
    }
    available = dict.fromkeys(stages, host)
    if known is not None:
        together = min(devices, RANKS_A_MACHINE)
        name = f"finetuning, host of {together}"
        stages[name] = {part: together * ranked.pop(part) for part in memory.ON_THE_HOST}
        available |= {RANK: known.memory, name: host}
    return {
        "size": {"users": size.users, "items": size.items, "interactions": size.interactions},
        "device": "this machine's processor" if known is None else f"{devices} x {known.name}",
        "memory": [_stage(name, parts, available[name], size) for name, parts in stages.items()],
        "not_in_time": "initialise: initial vectors and the linear model's search",
        "time": _times(size, model, config, known, devices, "items" in divided, lazy),
        "settings": _settings(size, config, **shared)
        + _reads_fewer_tokens(size, model, config, known, devices, shared),
        "breaks": _breaks(size, stages, available),
    }


def _divided(size: Size, model: Model, config: Config) -> frozenset[str]:
    """Tables that several processes divide by rows (`stages.sharing`)."""
    items, users = (each / memory.NUMBER for each in memory.tables(size, model, config))
    found = {"users"} if users >= DIVIDED_FROM else set()
    is_free = not memory.text_dimensions(size, config)
    if items >= DIVIDED_FROM and is_free and softmax_items(size, config) == size.items:
        found.add("items")
    return frozenset(found)


def _is_lazy(size: Size, model: Model, config: Config, processes: int) -> bool:
    """Whether processors update users when these are read (`stages.sharing`)."""
    _, users = memory.tables(size, model, config)
    least = LAZY_FROM if processes == 1 else DIVIDED_FROM
    return users >= memory.NUMBER * least and config.finetune.average == 0


def _stage(name: str, parts: dict[str, float], available: float, size: Size) -> dict[str, Any]:
    total = sum(parts.values())
    largest = max(parts, key=parts.__getitem__)
    row: dict[str, Any] = {"stage": name, "gb": round(total / 1e9, 2)}
    row |= {"largest part": f"{largest}: {parts[largest] / 1e9:,.2f} GB"}
    row |= {"of": round(available / 1e9, 1), "fits": total <= available}
    if name == PREPARE:
        row["disk_gb"] = round(memory.SPILLED_ROW * size.interactions / 1e9, 2)
    if "optimiser state" in parts:
        row["optimiser_gb"] = round(parts["optimiser state"] / 1e9, 2)
    return row


def _times(
    size: Size,
    model: Model,
    config: Config,
    device: Device | None,
    devices: int,
    divided: bool,
    lazy: bool,
) -> list[dict[str, Any]]:
    """Rows of what takes how long; the epochs are those of the settings."""
    cost, passes = step(size, model, config)
    steps, number = steps_per_epoch(size, config), epochs(size, config)
    listed, asked = one_list(size, model, config), validated(size, config)
    if device is None:
        step_s, list_s, end_s, source = _measured(size, model, config, lazy)
    else:
        # A divided table is passed over in parts; a whole one by every process.
        moved = passes / (devices if divided else 1)
        reached = device.flops * device.utilisation
        step_s = cost.flops / (reached * devices) + moved / device.bandwidth
        list_s = listed.flops / (reached * devices)
        _, scores, pairs = placing(size)
        end_s = PLACED_S_A_SCORE * scores + PLACED_S_A_PAIR * pairs
        end_s = asked * list_s + config.model.content * (end_s + INDEXED_S_AN_ITEM * size.items)
        source = f"peaks of {device.name} ({device.source})"
    epoch_s = steps * step_s
    work = steps * cost.flops
    rows: list[dict[str, Any]] = [
        {"what": "an epoch of finetuning", "flops": work, "hours": epoch_s / 3600},
        {
            "what": f"{number} epoch{'s' * (number > 1)}",
            "flops": number * work,
            "hours": number * epoch_s / 3600,
        },
        {
            "what": "loading, validations, placing items, indexing words",
            "flops": asked * listed.flops,
            "hours": end_s / 3600,
        },
        {
            "what": "finetuning, all of it",
            "flops": number * work + asked * listed.flops,
            "hours": (number * epoch_s + end_s) / 3600,
        },
        {
            "what": "a million lists",
            "flops": MILLION * listed.flops,
            "hours": MILLION * list_s / 3600,
        },
    ]
    prepared = {
        "what": "prepare",
        "flops": 0.0,
        "hours": PREPARE_S_A_ROW * size.interactions / 3600,
    }
    timed = [prepared, *({**row, "source": source} for row in rows)]
    return [{**row, "takes": _duration(3600 * float(row["hours"]))} for row in timed]


def _duration(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else "under a second"


def _measured(
    size: Size, model: Model, config: Config, lazy: bool
) -> tuple[float, float, float, str]:
    """Seconds of a step, of a list, and of what is beside the steps of finetuning."""
    # Imported late: it loads transformers.
    from cllm4rec.planning.calibration import measure

    few = Model(_cut(model.shape), model.words)
    speed = measure(few, config, max(2, round(size.history(config, TRAINED_SHARE))))
    given = size, model, config
    end_s = validated(size, config) * speed.of_validation(*given) + speed.of_both_ends(*given)
    step_s = speed.of_step(*given, lazy=lazy)
    return step_s, speed.of_list(*given), end_s, "measured here, one process"


def _cut(shape: Shape) -> Shape:
    depth = min(shape.depth, MOST_DEPTH)
    return Shape(depth, shape.size, shape.queries, shape.keys, shape.inner, gated=True)


def _settings(
    size: Size, config: Config, *, divided: frozenset[str], sharded: bool
) -> list[dict[str, Any]]:
    """What to set, and why; nothing where the preset's own are right."""
    rows = [{"setting": f"preset {trained_as(config)}", "why": "what is counted here"}]
    if sharded:
        rows.append({"setting": "torchrun", "why": "the trained backbone is sharded"})
    for table in sorted(divided):
        why = f"the {table.removesuffix('s')} table is divided by rows"
        rows.append({"setting": "torchrun", "why": why})
    if "items" not in divided and softmax_items(size, config) > MANY_CANDIDATES:
        why = f"a softmax over {size.items:,} items is most of a step"
        rows.append({"setting": f"model.softmax_items={MANY_CANDIDATES // 2}", "why": why})
    if size.items > MAX_ITEMS_BY_NEIGHBOURS and config.model.linear:
        why = f"there is none above {MAX_ITEMS_BY_NEIGHBOURS:,} items"
        rows.append({"setting": "model.linear=false", "why": why})
    wanted = _users_a_step(size, config)
    if wanted > config.finetune.batch_users:
        steps = size.users / config.finetune.batch_users
        why = f"an epoch has {steps:,.0f} steps, each a pass over the whole item table"
        rows.append({"setting": f"finetune.batch_users={wanted}", "why": why})
    if size.users > MILLION and config.finetune.epochs > 1:
        why = "an epoch of so many users is thousands of steps"
        rows.append({"setting": "finetune.epochs=1", "why": why})
    if size.interactions > SPARK_ROWS:
        why = "prepare in Spark, hand over partitions (docs/scale.md)"
        rows.append({"setting": "--data FOLDER of partitions", "why": why})
    return rows


def _users_a_step(size: Size, config: Config) -> int:
    """The setting, or more of them where an epoch would have very many steps."""
    batch = config.finetune.batch_users
    if config.finetune.target != "holdout":
        return batch
    times: int = 2 ** int(size.users / batch / MANY_STEPS).bit_length()
    return max(batch, min(MOST_USERS, batch * times))


def _reads_fewer_tokens(
    size: Size,
    model: Model,
    config: Config,
    device: Device | None,
    devices: int,
    shared: dict[str, Any],
) -> list[dict[str, str]]:
    """``device_tokens``, where a device lacks memory for a step of the size that is advised."""
    if device is None:
        return []
    larger = config.changed(finetune={"batch_users": _users_a_step(size, config)})
    at_once = tokens_at_once(size, model, larger, device.memory)
    parts = memory.finetuning(size, model, larger, ranks=devices, at_once=at_once, **shared)
    need = sum(each for name, each in parts.items() if name not in memory.ON_THE_HOST)
    room = device.memory - (need - parts["activations"])
    tokens = int(at_once * room / parts["activations"])
    if need <= device.memory or tokens < 1:
        return []
    why = f"a step's activations beside the rest are {need / 1e9:,.0f} GB on a device"
    return [{"setting": f"device_tokens={2 ** (tokens.bit_length() - 1)}", "why": why}]


def _breaks(
    size: Size, stages: dict[str, dict[str, float]], available: dict[str, float]
) -> list[dict[str, Any]]:
    """Stages that need more memory than there is, the worst first."""
    need = {name: sum(parts.values()) for name, parts in stages.items()}
    over = [name for name in stages if need[name] > available[name]]
    rows = []
    for name in sorted(over, key=lambda each: available[each] / need[each]):
        largest = max(stages[name], key=stages[name].__getitem__)
        times = need[name] / available[name]
        rows.append({"stage": name, "times the memory": round(times, 1), "because of": largest})
    return rows


def _memory_here() -> float:
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
