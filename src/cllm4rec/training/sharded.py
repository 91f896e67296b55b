"""A backbone that is trained in full and sharded over processes by torch's `fully_shard` (FSDP2).

A process keeps its rows of every weight, and their gradients, moments, average and best epoch. A
layer's weights are gathered before it is computed and dropped after it, forward and backward.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cllm4rec.models.backbone import Backbone
from cllm4rec.models.families import text_config
from cllm4rec.models.recomputing import layers_of
from cllm4rec.training.world import SHARDED_FROM as SHARDED_FROM
from cllm4rec.training.world import World


class ShardedBackbone(Backbone):
    """A backbone of which each process has its rows of every weight.

    It computes with the library's layers, whose calls gather and drop the weights.

    Args:
        whole: trained in full, the same on every process; left without weights until `undone`.
        world: processes that share them.
    """

    def __init__(self, whole: Backbone, world: World) -> None:
        model, whole.model = whole.model, _without_weights(whole.model)
        whole.layers = None
        nn.Module.__init__(self)  # the layers of `Backbone` would read weights that are not there
        self.model, self.layers, self.trained = model, None, True
        self.autocast, self.dropout = whole.autocast, whole.dropout
        self.recompute, self.word_scale = whole.recompute, whole.word_scale
        self.world = world
        self._size: int = text_config(model.config).hidden_size
        self._outside = [whole]  # no submodule: its weights are nobody's parameters
        self._is_whole = False
        _shard(model, world, torch.bfloat16 if whole.autocast else None)

    def forward(
        self,
        embedded: Float[Tensor, "batch length size"],
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch length size"]:
        """As of a whole backbone; every process calls it equally often, but for inside `whole`.

        What is embedded must need a gradient: the backward passes meet in the same order then.
        """
        if self._is_whole:
            return self._outside[0].forward(embedded, lengths)
        return super().forward(embedded, lengths)

    def last(
        self, embedded: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch size"]:
        """As of a whole backbone; see `forward`."""
        if self._is_whole:
            return self._outside[0].last(embedded, lengths)
        return super().last(embedded, lengths)

    def idle(self) -> Float[Tensor, "batch length size"]:
        """The part of a process without documents in a micro-batch: its rows, others' documents."""
        device = next(self.model.parameters()).device
        return super().forward(torch.ones(1, 1, self._size, device=device, requires_grad=True))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Gather the weights for the block, such as a validation; every process is in it."""
        outside = self._gathered()
        self._is_whole = True
        try:
            yield
        finally:
            self._is_whole = False
            outside.model, outside.layers = _without_weights(outside.model), None

    def undone(self) -> Backbone:
        """The whole backbone, on every process; this one is not used any more."""
        return self._gathered()

    @torch.no_grad()
    def _gathered(self) -> Backbone:
        [outside] = self._outside
        with self.world.together():
            weights = {
                name: nn.Parameter(sharded.full_tensor(), requires_grad=sharded.requires_grad)
                for name, sharded in _sharded(self.model).items()
            }
        outside.model.load_state_dict(weights, strict=False, assign=True)
        outside.reset_layers()
        return outside.eval()


def sharded(backbone: Backbone, world: World) -> ShardedBackbone | None:
    """A large backbone, sharded; None where each process goes on with the whole one.

    Args:
        backbone: the same on every process.
        world: the processes.
    """
    trained = sum(each.numel() for each in backbone.model.parameters() if each.requires_grad)
    if world.size == 1 or trained < SHARDED_FROM:
        return None
    return ShardedBackbone(backbone, world)


def _sharded(model: nn.Module) -> dict[str, Any]:
    return dict(model.named_parameters())


def _without_weights(model: nn.Module) -> nn.Module:
    """The same modules, without memory for weights."""
    memo: dict[int, Any] = {
        id(weight): nn.Parameter(torch.empty_like(weight, device="meta"), weight.requires_grad)
        for weight in model.parameters()
    }
    return copy.deepcopy(model, memo)


def _shard(model: nn.Module, world: World, products: torch.dtype | None) -> None:
    """Layer by layer, and the rest as one; gradients are sums over the processes.

    Args:
        model: whose parameters are replaced.
        world: processes that share them.
        products: type to which weights are cast before they are gathered; None: their own. Autocast
            alone would keep a cast of every weight until the backward pass.
    """
    # Imported late: `plan` and `prepare` train nothing.
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.set_device(device)  # the mesh asks for it
    precision = MixedPrecisionPolicy(products, torch.float32, cast_forward_inputs=False)
    given: dict[str, Any] = {"mesh": world.mesh(device), "mp_policy": precision}
    depth = text_config(model.config).num_hidden_layers
    for layer in list(layers_of(model, depth)):
        fully_shard(layer, **given)
    # All of it: a weight that stays gathered would have the type of products.
    fully_shard(model, reshard_after_forward=True, **given)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
