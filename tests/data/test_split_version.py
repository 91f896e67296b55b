"""The split of a small log, as it was: who changes it raises the version that recipes hold."""

import hashlib
import json

import pytest

from cllm4rec.config import DataConfig
from cllm4rec.data import split as splitting
from cllm4rec.data.checks import PARTS
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.recipe import recipe
from cllm4rec.data.split import PROTOCOLS
from support.input_folder import write_rows

WAS = {
    "paper": "14e822aceaeea2c73a7197e640464141f1d4f29e4431c9ac4f8536cede5df6fa",
    "leave-last-out": "989c7755a40038f01285d5ea645d6bb1b64220f9696994a8214062c8ef80a24e",
    "temporal": "8d61a31d355c495a59cdabb3ba27b18168a7876d24bad0886d03ab500813b17a",
    "new-users": "ca41e78948b1accc6c5a8ad3350cf2093ba629f855e14a8b3732ef1bf85f74a9",
    "new-items": "1321e0f1ecbbce77c3532995c17e5e4077b59b4a1552ea21585ecc8cf7f69c13",
    "new-items-last": "52e3096b9dca0a6db46883f6bf0effbe60a31c7df520a7d55536f52aadaafa0a",
    "split file": "d72c3b0c2976cbd436552ebe69c3c07051f8901cddf87dd7c60d43bf25357ec7",
}
"""sha256 of every user's items and their parts, in order, at the version of today."""


def log():
    """Times that tie, positions that tie within these, neither, ratings, and pairs named again.

    Items come one after the other, so that there are some to hold out as the last.
    """

    def draw(what, at, below):
        return int(hashlib.md5(f"{what} {at}".encode()).hexdigest(), 16) % below

    return [
        {
            "user_id": f"user {draw('user', at, 16)}",
            "item_id": f"item {(item := draw('item', at, 60))}",
            "rating": 2 + draw("rating", at, 12),
            "timestamp": 1_500_000_000 + 86_400 * (item // 6 + draw("day", at, 5))
            if at % 11
            else None,
            "position": draw("position", at, 3) if at % 3 else None,
        }
        for at in range(600)
    ]


def fingerprint(dataset: Dataset) -> str:
    items, parts = dataset.interactions.items, dataset.part_codes
    bounds = dataset.interactions.offsets.tolist()
    users = [
        [user, [(dataset.items[items[at]], PARTS[parts[at]]) for at in range(start, end)]]
        for user, start, end in zip(dataset.users, bounds, bounds[1:], strict=False)
    ]
    return hashlib.sha256(json.dumps(users).encode()).hexdigest()


def test_every_protocol_is_held():
    assert WAS.keys() == {*PROTOCOLS, "split file"}


@pytest.mark.parametrize("protocol", WAS)
def test_the_split_of_a_log_is_what_it_was_at_this_version(protocol, tmp_path):
    rows = log()
    write_rows(tmp_path / "in", "interactions", rows)
    how = {"protocol": protocol, "seed": 3}
    if protocol == "split file":
        pairs = sorted({(row["user_id"], row["item_id"]) for row in rows})
        parts = [dict(zip(("user_id", "item_id"), pair, strict=True)) for pair in pairs]
        parts = [{**pair, "part": PARTS[at * 3 % 7 % 3]} for at, pair in enumerate(parts)]
        how = {"split": write_rows(tmp_path, "split", parts)}
    dataset = Dataset.load(tmp_path / "in", folder=tmp_path / "data", **how)
    assert fingerprint(dataset) == WAS[protocol], (
        f"{protocol}: the same log is split or ordered otherwise than at version "
        f"{splitting.VERSION}; raise VERSION in cllm4rec/data/split.py, so that data prepared "
        f"before are prepared again, and put the new sha256 here"
    )


def test_another_version_of_splitting_is_another_recipe(tmp_path, monkeypatch):
    write_rows(tmp_path, "interactions", log())

    def made_of():
        return recipe(tmp_path, split=None, protocol="paper", config=DataConfig(), seed=0)

    before = made_of()
    monkeypatch.setattr(splitting, "VERSION", splitting.VERSION + 1)
    assert made_of() != before
