"""Documents written token by token from the templates' wording."""


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
