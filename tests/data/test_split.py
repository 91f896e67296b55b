from collections import Counter, defaultdict

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cllm4rec.data.split import PROTOCOLS
from cllm4rec.errors import InputError
from reference.paper_split import paper_split
from support.examples import examples
from support.split_table import split_pairs

IDS = ["a", "b", "é", "😀", "007", "7", " ", "x'y", '"', "\n", "<item_5>", "z" * 50]
TIMES = st.none() | st.integers(0, 5)


@st.composite
def logs(draw):
    """Some users, each with some items, some pairs twice, many at one time."""
    rows = []
    for user_id in draw(st.lists(st.sampled_from(IDS), min_size=4, max_size=7, unique=True)):
        for item_id in draw(st.lists(st.sampled_from(IDS), min_size=3, max_size=12)):
            times = {"timestamp": draw(TIMES), "position": draw(TIMES)}
            rows.append({"user_id": user_id, "item_id": item_id, **times})
    return rows


EVERY = pytest.mark.parametrize("protocol", PROTOCOLS)


def attempt(rows, protocol, seed=0):
    """The split; examples that are too small for the protocol (a clean refusal) are put aside."""
    try:
        return split_pairs(rows, protocol, seed)
    except InputError:
        assume(False)


def users_of(parts, *names):
    return {user for (user, _), part in parts.items() if part in names}


@EVERY
@given(rows=logs(), seed=st.integers(0, 3))
@examples(12)
def test_every_split_is_sound(protocol, rows, seed):
    parts = attempt(rows, protocol, seed)
    assert parts.keys() <= {(row["user_id"], row["item_id"]) for row in rows}
    assert {"train", "valid", "test"} <= set(parts.values())
    assert users_of(parts, "train", "history") == users_of(parts, *set(parts.values()))
    assert parts == split_pairs(rows, protocol, seed)


@EVERY
@given(rows=logs(), data=st.data())
@examples(8)
def test_order_of_rows_does_not_matter(protocol, rows, data):
    """With one row per pair, each at its own time."""
    once = list({(row["user_id"], row["item_id"]): row for row in rows}.values())
    timed = [row | {"timestamp": place} for place, row in enumerate(once)]
    parts = attempt(timed, protocol)
    assert split_pairs(data.draw(st.permutations(timed)), protocol) == parts


@EVERY
def test_one_user_with_one_interaction_is_refused_cleanly(protocol):
    with pytest.raises(InputError, match=r"leaves nothing for .* out of 1 positive pairs"):
        split_pairs([{"user_id": "u", "item_id": "i", "timestamp": 1}], protocol)


@pytest.mark.parametrize("protocol", ["paper", "temporal", "new-users", "new-items"])
def test_the_seed_matters(protocol):
    rows = grid(30, 30)
    assert split_pairs(rows, protocol, 0) == split_pairs(rows, protocol, 0)
    assert split_pairs(rows, protocol, 0) != split_pairs(rows, protocol, 1)


def test_unknown_protocol_names_those_there_are():
    with pytest.raises(InputError, match="'random'; there are paper, leave-last-out, temporal"):
        split_pairs(grid(3, 5), "random")


def grid(users, items):
    """Every user with every item, all at one time."""
    return [
        {"user_id": f"u{user:02}", "item_id": f"i{item:02}", "timestamp": 5}
        for user in range(users)
        for item in range(items)
    ]


@given(rows=logs(), seed=st.integers(0, 3))
@examples(25)
def test_paper_agrees_with_plain_python(rows, seed):
    pairs = {(row["user_id"], row["item_id"]) for row in rows}
    assert attempt(rows, "paper", seed) == paper_split(pairs, seed)


@pytest.mark.parametrize(
    ("count", "valid", "test"),
    [
        (1, 0, 0),
        (2, 0, 1),
        (3, 1, 1),
        (9, 1, 1),
        (14, 1, 1),
        (15, 2, 2),
        (25, 2, 2),
        (20, 2, 2),
        (35, 4, 4),
    ],
)
def test_paper_holds_out_a_tenth_and_at_least_one(count, valid, test):
    full = [{"user_id": "full", "item_id": f"i{item}"} for item in range(5)]
    one = [{"user_id": "one", "item_id": f"i{item}"} for item in range(count)]
    parts = split_pairs(full + one, "paper")
    found = Counter(part for (user, _), part in parts.items() if user == "one")
    assert (found["valid"], found["test"]) == (valid, test)
    assert found["train"] == count - valid - test


def test_paper_treats_a_user_alike_whoever_else_is_there():
    alone = split_pairs(grid(1, 12), "paper")
    crowd = split_pairs(grid(9, 12), "paper")
    assert alone.items() <= crowd.items()


def test_paper_chooses_evenly():
    """Each of 10 items is the test item of a tenth of 2,000 users: 200, give or take 4 sigma."""
    rows = [
        {"user_id": f"u{user}", "item_id": f"i{item}"} for user in range(2000) for item in range(10)
    ]
    parts = split_pairs(rows, "paper")
    tests = Counter(item for (_, item), part in parts.items() if part == "test")
    assert all(abs(count - 200) < 4 * (200 * 0.9) ** 0.5 for count in tests.values())


def test_leave_last_out_takes_the_newest_two():
    rows = [{"user_id": "u", "item_id": f"i{place}", "timestamp": time}
            for place, time in enumerate([30, 10, 50, 20, 40])]  # fmt: skip
    parts = split_pairs(rows, "leave-last-out")
    assert parts == {
        ("u", "i2"): "test", ("u", "i4"): "valid",
        ("u", "i0"): "train", ("u", "i1"): "train", ("u", "i3"): "train",
    }  # fmt: skip


def test_leave_last_out_breaks_ties_by_position_then_file_order():
    rows = [
        {"user_id": "u", "item_id": "a", "timestamp": 1, "position": 2},
        {"user_id": "u", "item_id": "b", "timestamp": 1, "position": 9},
        {"user_id": "u", "item_id": "c", "timestamp": 1, "position": 9},
        {"user_id": "u", "item_id": "d"},
    ]
    parts = split_pairs(rows, "leave-last-out")
    assert [parts["u", item] for item in "abcd"] == ["train", "valid", "test", "train"]


def test_pairs_of_one_time_are_held_out_by_a_draw_and_not_by_the_files_order():
    """A shop's days: within one the file is often in the items' order, which tells the newest."""
    rows = [
        {"user_id": f"u{user:03}", "item_id": f"i{user % 7}{item}", "timestamp": item // 4}
        for user in range(400)
        for item in range(8)
    ]
    parts = split_pairs(rows, "leave-last-out")
    assert parts == split_pairs(rows[::-1], "leave-last-out")
    held = Counter((part, item[-1]) for (_, item), part in parts.items() if part != "train")
    assert set(held) == {(part, item) for part in ("test", "valid") for item in "4567"}
    assert all(abs(count - 100) < 4 * (400 * 0.25 * 0.75) ** 0.5 for count in held.values())


def test_leave_last_out_works_by_position_alone():
    rows = [{"user_id": "u", "item_id": item, "position": 9 - n} for n, item in enumerate("abc")]
    parts = split_pairs(rows, "leave-last-out")
    assert [parts["u", item] for item in "abc"] == ["test", "valid", "train"]


@pytest.mark.parametrize("protocol", ["leave-last-out", "temporal"])
def test_protocols_of_time_need_a_time(protocol):
    rows = [{"user_id": "u", "item_id": item} for item in "abcdef"]
    with pytest.raises(InputError, match=r"needs a timestamp.*--set data\.columns\.timestamp=NAME"):
        split_pairs(rows, protocol)


def test_temporal_does_not_take_positions_for_times():
    rows = [{"user_id": "u", "item_id": item, "position": n} for n, item in enumerate("abcdef")]
    with pytest.raises(InputError, match="needs a timestamp for"):
        split_pairs(rows, "temporal")


def test_temporal_cuts_once_for_all_and_drops_who_has_no_past():
    rows = [
        {"user_id": f"u{time % 4}", "item_id": f"i{time}", "timestamp": time} for time in range(39)
    ]
    rows.append({"user_id": "late", "item_id": "i0", "timestamp": 99})
    parts = split_pairs(rows, "temporal")
    # 40 rows: the 4 newest are test (one of them of the user without a past), 4 more are valid.
    assert {item for (_, item), part in parts.items() if part == "test"} == {"i36", "i37", "i38"}
    assert {item for (_, item), part in parts.items() if part == "valid"} == {
        "i32", "i33", "i34", "i35"
    }  # fmt: skip
    assert "late" not in users_of(parts, "train", "valid", "test", "history")


@given(rows=logs())
@examples(12)
def test_temporal_never_trains_on_what_comes_later(rows):
    parts = attempt(rows, "temporal")
    latest = {}
    for row in rows:
        pair = row["user_id"], row["item_id"]
        time = -1 if row["timestamp"] is None else row["timestamp"]
        latest[pair] = max(latest.get(pair, -1), time)
    times = defaultdict(list)
    for pair, part in parts.items():
        times[part].append(latest[pair])
    assert max(times["train"]) <= min(times["valid"])
    assert max(times["valid"]) <= min(times["test"])


@given(rows=logs(), seed=st.integers(0, 3))
@examples(12)
def test_new_users_are_never_trained_on(rows, seed):
    parts = attempt(rows, "new-users", seed)
    trained = users_of(parts, "train")
    assert not trained & users_of(parts, "valid", "test", "history")
    assert not users_of(parts, "valid") & users_of(parts, "test")
    for user in users_of(parts, "history"):
        own = Counter(part for (who, _), part in parts.items() if who == user)
        total = sum(own.values())
        assert total - own["history"] == max(1, total // 5)


def test_new_users_holds_out_a_tenth_of_them():
    parts = split_pairs(grid(40, 10), "new-users")
    assert len(users_of(parts, "test")) == len(users_of(parts, "valid")) == 4
    assert Counter(parts.values()) == {"train": 320, "history": 64, "valid": 8, "test": 8}


def test_new_users_needs_a_history_to_hold_somebody_out():
    rows = [{"user_id": f"one{n:02}", "item_id": "i"} for n in range(16)]
    parts = split_pairs(rows + grid(2, 3), "new-users")
    assert users_of(parts, "history") == {"u00", "u01"}


@given(rows=logs(), seed=st.integers(0, 3))
@examples(12)
def test_new_items_are_never_trained_on(rows, seed):
    parts = attempt(rows, "new-items", seed)
    items = defaultdict(set)
    for (_, item), part in parts.items():
        items[part].add(item)
    assert not items["train"] & (items["valid"] | items["test"])
    assert not items["valid"] & items["test"]


def test_new_items_holds_out_a_tenth_of_them():
    parts = split_pairs(grid(6, 40), "new-items")
    assert Counter(parts.values()) == {"train": 192, "valid": 24, "test": 24}


def by_hand(rows):
    """``new-items-last`` in plain Python, for logs whose pairs and first times all differ."""
    firsts = {}
    for row in rows:
        firsts[row["item_id"]] = min(row["timestamp"], firsts.get(row["item_id"], row["timestamp"]))
    newest = sorted(firsts, key=firsts.__getitem__, reverse=True)
    held = max(1, len(newest) // 10)
    test, valid = newest[:held], newest[held : 2 * held]
    test_from, valid_from = firsts[test[-1]], firsts[valid[-1]]
    parts = {}
    for row in sorted(rows, key=lambda row: row["timestamp"]):
        user, item, time = row["user_id"], row["item_id"], row["timestamp"]
        if item not in valid and item not in test and time < valid_from:
            parts[user, item] = "train"
        for part, items, before in (("valid", valid, test_from), ("test", test, float("inf"))):
            if item in items and time < before:
                parts = {k: v for k, v in parts.items() if not (k[0] == user and v == part)}
                parts[user, item] = part
    trained = {user for (user, _), part in parts.items() if part == "train"}
    return {pair: part for pair, part in parts.items() if pair[0] in trained}


@given(order=st.permutations(range(96)), kept=st.integers(80, 96))
@examples(25)
def test_new_items_last_agrees_with_plain_python(order, kept):
    """Eight users, 24 items, every pair at its own time, some of them missing."""
    rows = [
        {"user_id": f"u{place % 8}", "item_id": f"i{(place * 5 + place // 8) % 24:02}"}
        | {"timestamp": when}
        for place, when in enumerate(order[:kept])
    ]
    rows = list({(row["user_id"], row["item_id"]): row for row in rows}.values())
    assert attempt(rows, "new-items-last") == by_hand(rows)


def test_new_items_last_needs_times():
    rows = [{**row, "timestamp": None, "position": 1} for row in grid(3, 12)]
    with pytest.raises(InputError, match="new-items-last needs a timestamp"):
        split_pairs(rows, "new-items-last")
