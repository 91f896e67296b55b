"""CLLM4Rec: a language model that ranks the whole catalogue in one forward pass."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cllm4rec.api import CLLM4Rec, Config, Dataset

__all__ = ["CLLM4Rec", "Config", "Dataset"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that the command line answers ``--help`` without loading torch."""
    if name in __all__:
        from cllm4rec import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
