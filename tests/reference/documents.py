"""Documents written one by one: token by token from the templates' wording, or as objects."""

import hashlib

import numpy as np

from cllm4rec import seeds
from cllm4rec.documents.document import Document
from cllm4rec.documents.prompts import entity


def prediction_document(
    user: int | None, history, space, prompts, config, seed: int, *, target: str = "holdout"
) -> Document:
    """What is asked about one user; what `Task.questions` writes for many at once.

    ``target`` is that of finetuning; ``config`` that of the corpus.
    """
    items = [int(item) for item in history]
    if config.order == "random":
        drawn_from = np.array(sorted(set(items)), np.int32)
        content = hashlib.blake2b(drawn_from.tobytes(), digest_size=8).hexdigest()
        rng = seeds.generator(seed, "prediction", content)
        items = rng.permutation(drawn_from).tolist()[: config.max_items]
    else:
        items = items[-config.max_items :]
    tokens = np.array([space.item(item) for item in items], np.int32)
    if target == "next":
        token = -2 if user is None else space.user(user)
        return Document(prompts.history.fill(user=entity(token)), tokens)
    token = -1 if user is None else space.user(user)
    prompt = prompts.recommendation.fill(user=entity(token), items=tokens)
    return Document(prompt, np.empty(0, np.int32))


def history(tokenizer, space, user: int | None, items: list[int]) -> list[int]:
    """``<user> has interacted with <item> <item> …``."""
    words = tokenizer.encode([" has interacted with"])[0]
    first = -2 if user is None else space.num_words + user
    return [first, *words, *(_item(space, item) for item in items)]


def question(tokenizer, space, user: int | None, items: list[int]) -> list[int]:
    """``<user> has interacted with <item> …, <user> will interact with``."""
    asked = -1 if user is None else space.num_words + user
    before, after, end = (
        tokenizer.encode([text])[0] for text in (" has interacted with", ",", " will interact with")
    )
    return [asked, *before, *(_item(space, item) for item in items), *after, asked, *end]


def padded(documents) -> list[list[int]]:
    """Prompt and main text of each, zeros up to the longest."""
    rows = [[*document.prompt.tolist(), *document.main.tolist()] for document in documents]
    longest = max(map(len, rows))
    return [row + [0] * (longest - len(row)) for row in rows]


def _item(space, item: int) -> int:
    return space.num_words + space.num_users + item
