"""Ids in columns of floats: those that a float cannot tell apart are refused."""

import numpy as np
import pandas as pd
import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError

LOG = [(f"u{n % 4}", n % 7) for n in range(28)]


def frames(kind: str, large: float, where: str) -> dict[str, pd.DataFrame]:
    """A log and its items with one large id in a column of floats."""
    log = pd.DataFrame(LOG, columns=["user_id", "item_id"]).astype({"item_id": kind})
    items = pd.DataFrame({
        "item_id": np.arange(7, dtype=kind),
        "title": [f"t{n}" for n in range(7)],
    })
    reviews = pd.DataFrame({"user_id": ["u0"], "item_id": np.zeros(1, kind), "text": ["good"]})
    given = {"interactions": log, "items": items, "reviews": reviews}
    given[where].loc[0, "item_id"] = large
    return given


@pytest.mark.parametrize("where", ["interactions", "items", "reviews"])
@pytest.mark.parametrize(("kind", "large"), [("float64", 2.0**53), ("float32", 2.0**24)])
def test_what_a_float_cannot_tell_apart_is_refused(tmp_path, where, kind, large):
    with pytest.raises(InputError) as raised:
        Dataset.from_frames(**frames(kind, large, where), folder=tmp_path / "data")
    assert f"frame `{where}`: column 'item_id' is of floats" in str(raised.value)
    assert f"ids such as {large:.0f} from their neighbours; write it as text" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_smaller_ones_are_the_whole_numbers_that_they_were(tmp_path, kind):
    dataset = Dataset.from_frames(
        **frames(kind, 2.0**24 - 1, "items"),
        folder=tmp_path / kind,
        config={"minimum_interactions": 1},
    )
    assert set(dataset.items) == {str(n) for n in range(7)}


def test_a_missing_one_makes_no_two_users_one(tmp_path):
    users = pd.Series([1234567890123456701, 1234567890123456755, None] * 4)
    log = pd.DataFrame({"user_id": users, "item_id": [f"i{n // 2}" for n in range(12)]})
    assert log["user_id"].dtype == "float64"
    with pytest.raises(InputError, match="column 'user_id' is of floats"):
        Dataset.from_frames(log, folder=tmp_path / "data")
    whole = Dataset.from_frames(
        log.dropna().assign(user_id=[1234567890123456701, 1234567890123456755] * 4),
        folder=tmp_path / "whole",
        config={"minimum_interactions": 1},
    )
    assert set(whole.users) == {"1234567890123456701", "1234567890123456755"}
