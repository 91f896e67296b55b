"""The HTTP service: a run's model behind JSON routes; micro-batched, bounded, reloadable.

``settings`` says how, ``app`` puts the parts together, ``routes`` translates, ``batching`` is where
requests meet and wait, ``served`` holds the model, ``server`` runs it in a process.
"""

from cllm4rec.service.app import create_app
from cllm4rec.service.served import ModelHolder
from cllm4rec.service.settings import ServiceSettings

__all__ = ["ModelHolder", "ServiceSettings", "create_app"]
