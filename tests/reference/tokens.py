"""Loop-written counterparts of what tokens.batch does with arrays."""

from collections.abc import Sequence

from cllm4rec.tokens.batch import TokenDocument


def scored_positions(documents: Sequence[TokenDocument]) -> list[tuple[int, int, int]]:
    """(row, position that predicts, token) of every main-text token that has a token before it."""
    scored = []
    for row, document in enumerate(documents):
        tokens = [*document.prompt.tolist(), *document.main.tolist()]
        for position in range(len(document.prompt), len(tokens)):
            if position >= 1:
                scored.append((row, position - 1, tokens[position]))
    return scored
