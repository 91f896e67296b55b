"""Incremental inference with the library's layers: a KV cache for every family."""

from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from cllm4rec.errors import InputError


class LibraryCache:
    """The library's KV cache of one document; sliding-window layers keep only their window.

    Args:
        config: of the model; tells the cache type of each layer.
    """

    def __init__(self, config: Any) -> None:
        self.tokens = 0
        """Tokens read so far."""
        self._cache = DynamicCache(config=config)

    def extend(self, model: Any, embedded: Float[Tensor, "new size"]) -> Float[Tensor, " size"]:
        """Append tokens; return the hidden state at the document's new end, float32.

        Args:
            model: the library's.
            embedded: at least one new token, in the dtype of the model's weights.

        Raises:
            InputError: the model does not use the cache.
        """
        output = model(inputs_embeds=embedded[None], past_key_values=self._cache, use_cache=True)
        if self._length() != self.tokens + len(embedded):  # the model ignored the cache
            raise InputError(
                f"backbone family {model.config.model_type!r} has no KV cache in transformers; "
                f"use recommend_for_history, which reads the whole history"
            )
        self.tokens += len(embedded)
        last: Tensor = output.last_hidden_state[0, -1].float()
        return last

    def _length(self) -> int:
        try:
            return int(self._cache.get_seq_length())
        except ValueError:  # no attention layer
            return 0
