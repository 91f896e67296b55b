"""Checks that several processes make together, each of which knows what must come out."""

import copy
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from torch import nn

from cllm4rec.models.backbone import Backbone
from cllm4rec.models.losses import LinearCrossEntropy
from cllm4rec.training import divided, rows, sharded
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.lazy import catch_up
from cllm4rec.training.loop import Position
from cllm4rec.training.optim import adam
from cllm4rec.training.sharded_files import load_sharded
from cllm4rec.training.world import TABLE_ROWS, World, is_sharded, own
from reference.dense_adam import dense_adam


def check_all(world: World) -> None:
    """Sums of gradients, divided tables, their softmax and checkpoints, a sharded backbone."""
    check_sums(world)
    for block in (4_000_000, 70):  # one, and of a few rows each
        check_softmax(world, block)
    check_checkpoint(world)
    check_lazy(world)
    for recompute in (False, True):
        check_backbone(world, recompute=recompute)
    check_products(world)


def check_sums(world: World) -> None:
    """Every process knows what each would have, and what the sum must be."""
    rows = TABLE_ROWS + 1
    shapes = {"users": (rows, 3), "items": (rows, 2), "bias": (5,), "unused": (4,), "one's": (2,)}

    def gradients(rank: int) -> dict[str, torch.Tensor | None]:
        found: dict[str, torch.Tensor | None] = {
            name: torch.full(shape, rank + 1.0) for name, shape in shapes.items()
        }
        found["users"] = torch.zeros(shapes["users"])
        found["users"][[5, 100 + rank, rows - 1]] = rank + 1.0  # 5 and the last are everyone's
        found["unused"] = None
        if rank:
            found["one's"] = None
        return found

    parameters = {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    for name, gradient in gradients(world.rank).items():
        parameters[name].grad = gradient
    sent: list[int] = []
    whole = dist.all_reduce

    def counted(tensor: torch.Tensor, **options: Any) -> Any:
        sent.append(tensor.numel())
        return whole(tensor, **options)

    with mock.patch.object(dist, "all_reduce", counted):
        world.sum_gradients_(list(parameters.values()))
    for name, parameter in parameters.items():
        others = [gradients(rank)[name] for rank in range(world.size)]
        there = [each for each in others if each is not None]
        if there:
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, torch.stack(there).sum(0), rtol=0, atol=0)
        else:
            assert parameter.grad is None, name
    # Which rows, twice; the items' table; the users' few rows.
    assert sum(sent) < 2 * rows + 2 * rows + 100


def check_softmax(world: World, block: int) -> None:
    """Beside the plain softmax of everyone's queries, which every process knows too."""
    generator = torch.Generator().manual_seed(7)
    size, num_items, numbers = 5, 23, [0, 3, 1, 6, 2, 4][: world.size]

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    table, bias = drawn(num_items, size), drawn(num_items)
    queries = [drawn(number, size) for number in numbers]
    # Two targets for each query, but none for the last one.
    places = [torch.arange(max(number - 1, 0)).repeat_interleave(2) for number in numbers]
    targets = [
        torch.cat([torch.randperm(num_items - 1, generator=generator)[:2] for _ in row[::2]])
        if len(row)
        else row
        for row in places
    ]
    bias[num_items - 1] = -torch.inf  # never a target
    table.requires_grad_()
    bias.requires_grad_()
    whole = [query.clone().requires_grad_() for query in queries]
    losses = [
        -(query @ table.T + bias).log_softmax(1)[row, target].sum()
        for query, row, target in zip(whole, places, targets, strict=True)
    ]
    (3.0 * torch.stack(losses).sum()).backward()

    rank = world.rank
    items = divided.DividedItems(table.detach().requires_grad_(), world)
    own_bias = bias.detach().clone().requires_grad_()
    query = queries[rank].clone().requires_grad_()
    with mock.patch.object(LinearCrossEntropy, "BLOCK_LOGITS", block):
        loss = divided.catalogue_likelihood(items, query, own_bias, places[rank], targets[rank])
    (3.0 * loss.total).backward()
    assert loss.count == len(targets[rank])
    close = torch.testing.assert_close
    close(loss.total, losses[rank].detach())
    close(query.grad, whole[rank].grad)
    close(items.table.gathered(items.weight.grad), table.grad)
    world.sum_([own_bias.grad])
    close(own_bias.grad, bias.grad)
    check_fetching(world, items.table, table.detach())


def check_fetching(world: World, table: rows.DividedRows, whole: torch.Tensor) -> None:
    """Rows of others come and their gradients go, once a step, also from who asks for none."""
    none = torch.tensor([], dtype=torch.int64)
    asked = [torch.tensor([0, 22, 0]), torch.tensor([22, 11]), *[none] * 9][world.rank]
    table.weight.grad = None
    rows.fetch([table], asked)
    with pytest.raises(RuntimeError, match="not fetched"):
        table.vectors(torch.tensor([5]))
    table.fetched.requires_grad_()
    for _ in range(2 * len(asked)):  # micro-batches, of some processes none
        vectors = table.vectors(asked)
        torch.testing.assert_close(vectors, whole[asked], rtol=0, atol=0)
        ((world.rank + 1) * vectors.sum()).backward()
    rows.return_gradients([table])
    wanted = torch.zeros_like(whole)
    wanted[0], wanted[22], wanted[11] = 6 * 2.0, 6 * 1.0 + 4 * 2.0, 4 * 2.0
    torch.testing.assert_close(table.gathered(table.weight.grad), wanted, rtol=0, atol=0)
    undivided = table.undivided()
    assert table.weight not in world.divided
    torch.testing.assert_close(undivided.detach(), whole, rtol=0, atol=0)


def check_checkpoint(world: World) -> None:
    """Of tables of which the last of four processes has no row, and of one that is whole."""
    whole = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    folder = Path(world.of_main(tempfile.mkdtemp))
    table, of_another = (rows.DividedRows(whole, world) for _ in range(2))
    items = nn.Parameter(whole.clone())
    named = {"first": {"users": table.weight, "items": items}}
    named["second"] = {"items": of_another.weight}
    optimizers = {
        name: adam(each, learning_rate=0.1, head_scale=1.0) for name, each in named.items()
    }
    for name, each in named.items():
        for parameter in each.values():
            parameter.grad = torch.ones_like(parameter)
        optimizers[name].step()
    given = table.weight.detach().clone()
    kept = {"best/users": 2 * given, "average/users": 3 * given, "best/items": whole}
    checkpoint = Checkpoint(folder / "state", "same", named, optimizers)
    checkpoint.save(Position(1, 2), {}, kept)
    world.wait()  # until the main process is done
    table.weight.data.zero_()
    found = checkpoint.resume()
    assert found is not None
    assert found[2].keys() == kept.keys()
    assert all(torch.equal(found[2][name], kept[name]) for name in kept)
    assert torch.equal(table.weight, given)
    stored = load_sharded(folder / "state", {})
    for name, times in {"parameters/first": 1, "kept/best": 2, "kept/average": 3}.items():
        assert torch.equal(stored[f"{name}/users"][table.rows.own], times * given), name
    assert all(tensor.shape == whole.shape for name, tensor in stored.items() if "step" not in name)
    world.wait()
    world.of_main(lambda: shutil.rmtree(folder))


def check_lazy(world: World) -> None:
    """Rows of a lazy table catch up with who has them, also from a checkpoint."""
    whole = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    folder = Path(world.of_main(tempfile.mkdtemp))
    asked = [[0, 2], [1], [2, 4], [], [3, 0], [4], [], [1, 2, 3]]  # of some step, of two processes
    steps = [torch.unique(torch.tensor(asked[i % 8] + asked[i % 7], dtype=int)) for i in range(40)]
    gradients = [torch.full((len(rows), 3), 1.0 + i) for i, rows in enumerate(steps)]

    def begun() -> tuple[rows.DividedRows, Checkpoint]:
        table = rows.DividedRows(whole.clone().requires_grad_(), world, lazily=True)
        named = {"only": {"users": table.weight}}
        optimizer = adam(named["only"], learning_rate=0.1, head_scale=1.0)
        return table, Checkpoint(folder / "state", "same", named, {"only": optimizer})

    table, checkpoint = begun()
    for number, (reached, gradient) in enumerate(zip(steps, gradients, strict=True)):
        if number == 20:
            catch_up(checkpoint.optimizers["only"])
            checkpoint.save(Position(1, 2), {}, {})
            world.wait()
            table, checkpoint = begun()
            assert checkpoint.resume() is not None
        rows.fetch([table], reached if world.rank < 2 else reached[:0])
        table.fetched.requires_grad_()
        if world.rank < 2:  # half of the gradient from each
            (table.vectors(reached) * gradient / 2).sum().backward()
        rows.return_gradients([table])
        checkpoint.optimizers["only"].step()
    wanted, _ = dense_adam(whole, list(zip(steps, gradients, strict=True)), [0.1] * 40)
    torch.testing.assert_close(table.undivided().detach(), wanted, rtol=1e-6, atol=1e-6)
    world.wait()
    world.of_main(lambda: shutil.rmtree(folder))


def toy_backbone(**settings: bool) -> Backbone:
    """The same on every process; its widths are no multiples of 2 and 4."""
    from transformers import LlamaConfig, LlamaModel  # seconds: only where it is needed

    torch.manual_seed(3)
    sizes = {"hidden_size": 24, "intermediate_size": 37, "vocab_size": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 2}
    model = LlamaModel(LlamaConfig(**sizes, **heads, bos_token_id=0, eos_token_id=0))
    model.set_input_embeddings(nn.Embedding(1, 24).requires_grad_(False))
    return Backbone(model, trained=True, **settings)


def check_backbone(world: World, *, recompute: bool) -> None:
    """Beside the whole backbone, which every process has too."""
    plain = toy_backbone(autocast=False, recompute=recompute)
    given, beside = copy.deepcopy(plain), [torch.randn(2, 5, 24) for _ in range(world.size)]
    with mock.patch.object(sharded, "SHARDED_FROM", 1):
        assert sharded.sharded(plain, World()) is None
        backbone = sharded.sharded(plain, world)
    assert isinstance(backbone, sharded.ShardedBackbone)
    idle = world.rank == world.size - 1
    # As in a training, the gradient goes on to token vectors.
    states = backbone.idle() if idle else backbone(beside[world.rank].clone().requires_grad_())
    (0 * states if idle else states.square()).sum().backward()
    torch.stack([given(each).square().sum() for each in beside[:-1]]).sum().backward()
    named, held, all_of_it = dict(given.named_parameters()), 0, 0
    for name, parameter in backbone.named_parameters():
        if parameter.requires_grad:
            gradient, wanted = parameter.grad.full_tensor(), named[name].grad
            torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5, msg=name)
            held, all_of_it = held + own(parameter.grad).numel(), all_of_it + wanted.numel()
    assert held / all_of_it < 1 / world.size + 0.05
    lengths = torch.tensor([5, 3])
    with torch.no_grad(), backbone.whole():
        assert torch.equal(backbone.last(beside[0], lengths), given.last(beside[0], lengths))
    undone = backbone.undone()
    assert undone is plain
    for name, parameter in undone.named_parameters():
        assert torch.equal(parameter, named[name]), name


def check_products(world: World) -> None:
    """In bfloat16 a sharded backbone is as exact as a whole one, and keeps no cast of a weight."""
    exact, whole = toy_backbone(autocast=False), toy_backbone(autocast=True)
    exact.layers = whole.layers = None  # the library's
    with mock.patch.object(sharded, "SHARDED_FROM", 1):
        backbone = sharded.sharded(toy_backbone(autocast=True), world)
    assert backbone is not None
    shapes = {tuple(p.shape) for p in exact.model.parameters() if p.dim() == 2}
    shapes |= {shape[::-1] for shape in shapes}
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.extend([tensor] if tuple(tensor.shape) in shapes else [])
        return tensor

    given, weights = torch.randn(2, 2, 5, 24, generator=torch.Generator().manual_seed(2))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = backbone(given.clone().requires_grad_())
    assert kept
    assert {weight.untyped_storage().nbytes() for weight in kept} == {0}, (
        "a cast of a weight is kept"
    )
    (weights * states).sum().backward()
    for other in (exact, whole):
        (world.size * weights * other(given.clone().requires_grad_())).sum().backward()

    def gradients(of: Backbone) -> torch.Tensor:
        found: list[Any] = [p.grad for p in of.model.parameters() if p.requires_grad]
        whole = [each.full_tensor() if is_sharded(each) else each for each in found]
        return torch.cat([each.flatten() for each in whole])

    wanted = gradients(exact)
    errors = [(gradients(each) - wanted).norm() / wanted.norm() for each in (whole, backbone)]
    assert 0 < errors[1] < 1.5 * errors[0] < 0.05, errors
