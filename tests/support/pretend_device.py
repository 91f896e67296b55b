"""A second torch device without hardware: it computes on the processor, and lets nothing mix.

A tensor of device ``pretend`` stands for one in the processor's memory. Operations on such tensors
are done there, for real; one that is also given a tensor of the processor (more than a single
number) is refused, as a GPU refuses it. What is right here and wrong on a GPU are kernels and
their speed, not where tensors are.

`install` can be called once in a process and cannot be undone: use it in processes of its own.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._contextlib import _DecoratorContextManager
from torch.utils._pytree import tree_leaves, tree_map_only

NAME = "pretend"

_NEAR: dict[int, Tensor] = {}
"""Storage of a pretended tensor → what it stands for; shallow copies share the storage."""
_VIEWS: dict[int, Tensor] = {}
"""The same → the view that it is a copy of, where it is one: what is written goes on to it."""
_libraries: list[torch.library.Library] = []


class _Module:
    """What torch asks a kind of device for."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def manual_seed_all(self, seed: int) -> None:
        """Draws are the processor's, which is seeded already."""

    def _is_in_bad_fork(self) -> bool:
        return False

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


class _NoGradient(_DecoratorContextManager):
    """Instead of inference mode: a stand-in is no inference tensor."""

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self.before = torch.is_grad_enabled()
        torch.set_grad_enabled(not self.mode)

    def __exit__(self, *error: object) -> None:
        torch.set_grad_enabled(self.before)

    def clone(self) -> "_NoGradient":
        return _NoGradient(self.mode)


def install() -> None:
    """Make ``torch.device("pretend")`` known."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    every = torch.library.Library("_", "IMPL")
    every.fallback(_compute, "PrivateUse1")
    _libraries.append(every)  # gone with the object otherwise
    torch.inference_mode = _NoGradient
    for kind in (Tensor, torch.nn.Parameter):
        kind.__deepcopy__ = _copying(kind.__deepcopy__)


def _copying(ordinary: Any) -> Any:
    def copied(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        if not _is_far(tensor):
            return ordinary(tensor, memo)
        copy = tensor.detach().clone()  # a stand-in has no storage to copy
        if isinstance(tensor, torch.nn.Parameter):
            copy = torch.nn.Parameter(copy, tensor.requires_grad)
        return memo.setdefault(id(tensor), copy)

    return copied


def _compute(operation: Any, *args: Any, **options: Any) -> Any:
    """Any operation with a pretended tensor among what it takes or gives."""
    schema = operation._schema
    if schema.name in ("aten::_copy_from", "aten::_copy_from_and_resize"):
        _near(args[1]).copy_(_near(args[0]))
        if _is_far(args[1]):
            _go_on(args[1])
        return args[1]
    for given in tree_leaves((args, options)):
        if isinstance(given, Tensor) and not _is_far(given) and given.dim() > 0:
            raise RuntimeError(f"{schema.name}: a tensor on {given.device} meets one on {NAME}")
    if schema.name == "aten::as_strided":
        tensor, size, stride, *start = args
        start = tensor.storage_offset() if not start or start[0] is None else start[0]
        return _far(_strided(tensor, size, stride, start))
    near_args, near_options = tree_map_only(Tensor, _near, (args, options))
    result = operation(*near_args, **_here(near_options))
    written = [
        args[place] if place < len(args) else options[argument.name]
        for place, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    for given in tree_leaves(written):
        place = given.untyped_storage()._cdata
        if given.numel() == 0 < _NEAR[place].numel():
            given.data = _far(_NEAR[place])  # an empty ``out``, which torch resizes
        _go_on(given)
    if not written:
        return tree_map_only(Tensor, _far, result)
    return written[0] if isinstance(result, Tensor) else tuple(written) if schema.returns else None


def _go_on(tensor: Tensor) -> None:
    """What was written into the copy of a view goes on to what it is a view of."""
    place = tensor.untyped_storage()._cdata
    if place in _VIEWS:
        _VIEWS[place].copy_(_NEAR[place])


def _here(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "device": "cpu"} if "device" in options else options


def _is_far(tensor: Tensor) -> bool:
    return tensor.device.type == NAME


def _far(near: Tensor) -> Tensor:
    far = torch._C._acc.create_empty_tensor(near.shape, near.dtype)
    place = far.untyped_storage()._cdata
    _VIEWS.pop(place, None)
    if not near.is_contiguous():  # a stand-in's strides are always those of its shape
        _VIEWS[place] = near
    _NEAR[place] = near.contiguous()
    return far


def _near(tensor: Tensor) -> Tensor:
    if not _is_far(tensor):
        return tensor
    near = _NEAR[tensor.untyped_storage()._cdata]
    if tensor.shape == near.shape and tensor.storage_offset() == 0:
        return near
    # A view that torch made itself, of the same storage.
    return _strided(tensor, tensor.size(), tensor.stride(), tensor.storage_offset())


def _strided(tensor: Tensor, size: Any, stride: Any, start: int) -> Tensor:
    near = _NEAR[tensor.untyped_storage()._cdata]
    return near.as_strided(size, stride, near.storage_offset() + start)
