"""What several processes share of a model instead of each holding it whole."""

from collections.abc import Mapping

from cllm4rec.models.items import FreeItems
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.stages.setup import Setup
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tasks.held_out import HeldOut, HeldOutObjective
from cllm4rec.tasks.language import LanguageObjective
from cllm4rec.tasks.next_item import NextItem
from cllm4rec.training import divided, sharded
from cllm4rec.training.loop import Objective
from cllm4rec.training.meeting import MeetingObjective


def share(
    setup: Setup, model: CollaborativeLLM, objectives: Mapping[str, Objective], name: str
) -> dict[str, Objective]:
    """Shard a large backbone that is trained in full, and divide a large table of free vectors.

    A task with a loss of its own keeps both whole: processes without documents take part in the
    softmax and in the backbone once for each micro-batch, and it may ask them otherwise.

    Args:
        setup: loaded inputs.
        model: to train; its parts are replaced.
        objectives: on which it is trained, perhaps beside others.
        name: of the model's own objective.
    """
    world, objective = setup.world, objectives[name]
    if world.size == 1 or (name == "finetune" and type(setup.task) not in (HeldOut, NextItem)):
        return dict(objectives)
    items = None if name != "finetune" else _divided(setup, model, objectives)
    is_full = setup.config.backbone.mode == "full"
    backbone = sharded.sharded(model.backbone, world) if is_full else None
    if backbone is not None:
        model.backbone = backbone
    if items is None and backbone is None:
        return dict(objectives)
    meeting = MeetingObjective(objective, world, items=items, backbone=backbone)
    return {**objectives, name: meeting}


def _divided(
    setup: Setup, model: CollaborativeLLM, objectives: Mapping[str, Objective]
) -> divided.ItemsOfSteps | None:
    """Content steps need the table whole.

    So does a softmax over a sample of the items, which each process draws for itself.
    """
    if type(model.embedding.items) is not FreeItems or len(objectives) > 1:
        return None
    table, objective = model.embedding.items.all().detach(), objectives["finetune"]
    if table.numel() < divided.DIVIDED_FROM:
        return None
    candidates = Candidates.of(setup.config.model, setup.dataset.part("train"), model.device)
    if candidates.probability is not None:
        return None
    assert isinstance(objective, HeldOutObjective | LanguageObjective)
    model.embedding.items = items = divided.DividedItems(table, setup.world)
    return divided.ItemsOfSteps(
        items,
        items_of=objective.items_of,
        bias=lambda: model.head.bias + candidates.bias,
        dtype=objective.products,
    )
