"""What processes share of a model instead of each holding it whole, and what is updated lazily."""

from collections.abc import Mapping

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
    """Divide large tables of free vectors, and shard a large backbone that is trained in full.

    A task with a loss of its own keeps items and backbone whole: processes without documents take
    part in the softmax and in the backbone once for each micro-batch, and it may ask them
    otherwise. Items stay whole too where their softmax is over a sample, which each process draws
    for itself, and where an encoder makes their vectors.

    On processors the rows of a large user table are updated lazily, also by one process; not under
    an average of the parameters, which changes all rows in every step.

    Args:
        setup: loaded inputs.
        model: to train; its parts are replaced, as are the tables of what regularises it.
        objectives: on which it is trained, perhaps beside others.
        name: of the model's own objective.
    """
    world = setup.world
    regularised = {
        each: objective
        for each, objective in objectives.items()
        if isinstance(objective, LanguageObjective | HeldOutObjective)
    }
    is_averaged = name == "finetune" and setup.config.finetune.average > 0
    lazily = model.device.type == "cpu" and not is_averaged
    if name not in regularised or (world.size == 1 and not lazily):
        return dict(objectives)
    is_known = name != "finetune" or type(setup.task) in (HeldOut, NextItem)
    candidates = Candidates.of(setup.config.model, setup.dataset.part("train"), model.device)
    for objective in regularised.values():
        for embedding in (objective.mutual.own, objective.mutual.other):
            if embedding is model.embedding:
                known = is_known and candidates.probability is None
                divided.divide(embedding, world, with_items=known, lazily=lazily)
            elif embedding is not None:
                divided.divide(embedding, world, with_items=True, lazily=lazily)
    own, backbone, softmax = model.embedding.items, None, None
    if is_known and setup.config.backbone.mode == "full":
        backbone = sharded.sharded(model.backbone, world)
    if backbone is not None:
        model.backbone = backbone
    if isinstance(own, divided.DividedItems):
        products = regularised[name].products
        softmax = divided.DividedSoftmax(own, lambda: model.head.bias + candidates.bias, products)
    shared = dict(objectives)
    for each, objective in regularised.items():
        mutual, is_own = objective.mutual, objective.model is model
        other = mutual.other if mutual.weights["mutual"] else None
        meeting = MeetingObjective(
            objective,
            world,
            tables=divided.DividedTables(mutual.own, other),
            softmax=softmax if is_own else None,
            backbone=backbone if is_own else None,
        )
        if meeting.is_needed:
            shared[each] = meeting
    return shared
