"""Users of the log whom the split left out are asked for by their history."""

import pytest

from cllm4rec.errors import UnknownId
from cllm4rec.recommender.catalogue import Catalogue
from cllm4rec.recommender.requests import ListRequest
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

FEW = [{"user_id": "few", "item_id": f"i{n}", "timestamp": 9 - n} for n in range(3)]
OUTSIDE = [{"user_id": "outside", "item_id": "nowhere", "timestamp": 1}]


@pytest.fixture
def catalogue(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log() + FEW + OUTSIDE)
    return Catalogue(prepare_folder(tmp_path / "in", minimum_interactions=5)[0])


def asked(catalogue, users, newcomers=None):
    dataset = catalogue.dataset
    known = dataset.known("recommend")
    request = ListRequest.for_users(catalogue, known, users, 5, newcomers=newcomers)
    histories = [dataset.items.ids(request.histories.of(row)) for row in range(len(users))]
    return request.users.tolist(), histories


def test_a_user_below_the_minimum_is_asked_for_by_history(catalogue):
    numbers, histories = asked(catalogue, ["u1", "few", "u0", "few"])
    assert numbers == [1, -1, 0, -1]
    assert histories[1] == histories[3] == ["i2", "i1", "i0"]
    assert histories[2] == [f"i{n}" for n in range(6)]


def test_what_is_new_of_such_a_user_comes_after_what_the_log_says(catalogue):
    found = asked(catalogue, ["few", "u0"], {"few": ["i7", "i2"], "u0": ["i7"]})
    assert found == ([-1, -1], [["i1", "i0", "i7", "i2"], ["i7"]])


def test_a_user_without_a_usable_history_gets_the_reason(catalogue):
    with pytest.raises(UnknownId, match="unknown user 'outside': the data have no positive inter"):
        asked(catalogue, ["u0", "outside"])
    assert asked(catalogue, ["outside"], {"outside": ["i1"]}) == ([-1], [["i1"]])


@pytest.mark.parametrize("user", ["stranger", "", "\ud800"])
def test_others_are_unknown_as_ever(catalogue, user):
    with pytest.raises(UnknownId, match=r"unknown user .*; this run knows 6 users"):
        asked(catalogue, ["u0", user])
