"""The HTTP service: a run's model behind JSON routes; micro-batched, bounded, reloadable.

``settings`` says how, ``app`` builds the application, ``routes`` translates, in ``batching``
requests wait, ``served`` holds the model, ``subprocess_scorer`` runs it in a subprocess and
``server`` runs it all.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cllm4rec.service.app import create_app
    from cllm4rec.service.served import ModelHolder
    from cllm4rec.service.settings import ServiceSettings

__all__ = ["ModelHolder", "ServiceSettings", "create_app"]


def __getattr__(name: str) -> Any:
    """Import on first use: the scoring process has no use for a web framework."""
    if name == "create_app":
        from cllm4rec.service.app import create_app

        return create_app
    if name == "ModelHolder":
        from cllm4rec.service.served import ModelHolder

        return ModelHolder
    if name == "ServiceSettings":
        from cllm4rec.service.settings import ServiceSettings

        return ServiceSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
