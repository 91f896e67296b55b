"""CLLM4Rec: a language model that ranks the whole catalogue in one forward pass."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cllm4rec.api import CLLM4Rec, Config, Dataset

__all__ = ["CLLM4Rec", "Config", "Dataset"]

_HOMES = {"CLLM4Rec": "api", "Config": "config", "Dataset": "data.dataset"}


def __getattr__(name: str) -> Any:
    """Import on first use, so that the command line answers ``--help`` without loading torch."""
    if name in _HOMES:
        return getattr(import_module(f"cllm4rec.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
