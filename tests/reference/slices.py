"""Slices of a test part, written as loops over one user's sets."""

from reference.metrics import ndcg_at, recall_at

Rows = list[set[int]]


def activity(train: Rows, valid: Rows) -> list[str]:
    """The slice of each user, by what is known before the test part."""
    names = []
    for before, later in zip(train, valid, strict=True):
        known = len(before | later)
        names.append("≤ 5" if known <= 5 else "6 to 20" if known <= 20 else "> 20")
    return names


def popularity(train: Rows, num_items: int) -> list[str]:
    """The slice of each item, by its training interactions."""
    names = []
    for item in range(num_items):
        count = 0
        for before in train:
            if item in before:
                count += 1
        if count == 0:
            names.append("0 (cold)")
        elif count <= 5:
            names.append("1 to 5")
        elif count <= 20:
            names.append("6 to 20")
        else:
            names.append("> 20")
    return names


def sliced_means(
    lists: list[list[int]], train: Rows, valid: Rows, test: Rows, num_items: int
) -> dict[tuple[str, str, str], tuple[float, int]]:
    """(users or items, slice, metric) → mean over the users who count, and how many they are."""
    of_user, of_item = activity(train, valid), popularity(train, num_items)
    values: dict[tuple[str, str, str], list[float]] = {}
    for user, wanted in enumerate(test):
        parts = [("users", of_user[user], wanted)]
        for name in sorted(set(of_item)):
            parts.append(("items", name, {item for item in wanted if of_item[item] == name}))
        for by, name, relevant in parts:
            if relevant:
                recall = recall_at(lists[user], relevant, 20)
                values.setdefault((by, name, "recall@20"), []).append(recall)
                ndcg = ndcg_at(lists[user], relevant, 100)
                values.setdefault((by, name, "ndcg@100"), []).append(ndcg)
    return {key: (sum(found) / len(found), len(found)) for key, found in values.items()}
