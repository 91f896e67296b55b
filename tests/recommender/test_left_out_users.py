"""Users of the log whom the split left out are asked for by their history."""

import pytest

from cllm4rec.errors import UnknownId
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.catalogue import Catalogue, Filters
from cllm4rec.recommender.requests import ListRequest
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

FEW = [{"user_id": "few", "item_id": f"i{n}", "timestamp": 9 - n} for n in range(3)]
OUTSIDE = [{"user_id": "outside", "item_id": "nowhere", "timestamp": 1}]


@pytest.fixture
def catalogue(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log() + FEW + OUTSIDE)
    return Catalogue(prepare_folder(tmp_path / "in", minimum_interactions=5)[0])


def asked(catalogue, users, since=None):
    dataset = catalogue.dataset
    known = dataset.known("recommend")
    request = ListRequest.for_users(catalogue, known, users, 5, since=since)
    histories = [dataset.items.ids(request.histories.of(row)) for row in range(len(request))]
    return request.users.tolist(), histories


def test_a_user_below_the_minimum_is_asked_for_by_history(catalogue):
    numbers, histories = asked(catalogue, ["u1", "few", "u0", "few"])
    assert numbers == [1, -1, 0, -1]
    assert histories[1] == histories[3] == ["i2", "i1", "i0"]
    assert histories[2] == [f"i{n}" for n in range(6)]


def test_what_is_new_of_such_a_user_comes_after_what_the_log_says(catalogue):
    found = asked(catalogue, ["few", "new"], {"few": ["i7", "i2"], "new": ["i7"]})
    assert found == ([-1, -1], [["i1", "i0", "i7", "i2"], ["i7"]])


def test_what_is_new_of_a_known_user_is_appended_but_an_old_row_moves_nothing(catalogue):
    before = [f"i{n}" for n in range(6)]
    since = {"u0": ["i7", "i2", "nowhere", "i6", "i7"]}
    assert asked(catalogue, ["u0", "u1"], since)[1][0] == [*before, "i6", "i7"]
    assert asked(catalogue, ["u1"], since) == asked(catalogue, ["u1"])


def test_a_user_without_a_usable_history_gets_the_reason(catalogue):
    with pytest.raises(UnknownId, match="unknown user 'outside': the data have no positive inter"):
        asked(catalogue, ["outside"])
    assert asked(catalogue, ["outside"], {"outside": ["i1"]}) == ([-1], [["i1"]])


def test_a_user_whose_feedback_is_on_other_items_gets_that_reason(catalogue):
    with pytest.raises(UnknownId, match="'new': its feedback has no item of the catalogue; give a"):
        asked(catalogue, ["new"], {"new": ["nowhere", "i99"]})
    with pytest.raises(UnknownId, match="'new'; this run knows 6 users"):
        asked(catalogue, ["new"], {"new": []})


@pytest.mark.parametrize("user", ["stranger", "", "\ud800"])
def test_others_are_unknown_as_ever(catalogue, user):
    with pytest.raises(UnknownId, match=r"unknown user .*; this run knows 6 users"):
        asked(catalogue, [user])


def test_who_is_not_known_has_no_row_and_the_others_do(catalogue):
    known = catalogue.dataset.known("recommend")
    request = ListRequest.for_users(catalogue, known, ["x", "u1", "outside", "u0"], 5)
    assert request.users.tolist() == [1, 0]
    assert request.places() == [None, 0, None, 1]
    assert request.note == "2 of 4 users are not known and have no list"
    lists = RankedItems.empty(request.users, 5)
    lists.items[:] = [[7], [8]]
    assert request.for_all(lists).items[:, 0].tolist() == [-1, 7, -1, 8]
    assert ListRequest.for_users(catalogue, known, ["u1", "u0"], 5).note is None


def test_unknown_items_of_a_history_are_left_aside(catalogue):
    request = ListRequest.for_histories(catalogue, [["i1", "x", "i0", "i1"], ["x"], ["i2"]], 5)
    assert [request.histories.of(row).tolist() for row in range(2)] == [[0, 1], [2]]
    assert request.places() == [0, None, 1]
    assert request.note == (
        "2 of 6 items of the history are not known and left aside; "
        "1 of 3 histories have no known item and no list"
    )
    with pytest.raises(UnknownId, match="unknown item 'x'"):
        ListRequest.for_histories(catalogue, [["x"], ["y"]], 5)


def test_unknown_items_of_filters_are_left_aside(catalogue):
    filters = Filters(include=["i1", "x"], exclude=["i1", "y", "z"])
    request = ListRequest.for_histories(catalogue, [["i0"]], 5, filters)
    assert request.note == (
        "1 of 2 items of include is not known and left aside; "
        "2 of 3 items of exclude are not known and left aside; "
        "no item passes the filters: none meets all of them"
    )
    with pytest.raises(UnknownId, match="unknown item 'x'"):
        ListRequest.for_histories(catalogue, [["i0"]], 5, Filters(include=["x"]))
    assert ListRequest.for_histories(catalogue, [["i0"]], 5, Filters(exclude=["x"])).allowed.all()
