"""The unit of every corpus: a prompt, which is read, and a main text to predict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A heterogeneous prompt and a homogeneous main text (paper section 3.2)."""

    prompt: NDArray[np.int32]
    """Words, users and items; read, never predicted."""
    main: NDArray[np.int32]
    """Items only or words only; predicted from the first on. Empty in recommendation prompts."""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.main)


NO_TOKENS: NDArray[np.int32] = np.empty(0, np.int32)
NO_TOKENS.flags.writeable = False
