"""Incremental inference through the library's own layers: a KV cache for every family."""

from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from cllm4rec.errors import InputError


class LibraryCache:
    """What the library keeps of one document's tokens; sliding windows keep their own width.

    Args:
        config: the model's, which says what each layer keeps.
    """

    def __init__(self, config: Any) -> None:
        self.tokens = 0
        """Tokens read so far."""
        self._cache = DynamicCache(config=config)

    def extend(self, model: Any, embedded: Float[Tensor, "new size"]) -> Float[Tensor, " size"]:
        """Append tokens: the hidden state at the document's new end, float32.

        Args:
            model: the library's.
            embedded: the tokens that follow, at least one, in the type of the model's weights.

        Raises:
            InputError: the model keeps nothing that can be gone on from.
        """
        output = model(inputs_embeds=embedded[None], past_key_values=self._cache, use_cache=True)
        if self._length() != self.tokens + len(embedded):  # the model passed it over
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
        except ValueError:  # no layer of it attends
            return 0
