"""Known items that are taken for new: the draws, and the offset that they set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.ease_new_items import NewItemsScorer
from cllm4rec.baselines.taken_for_new import TENTHS, Calibration, sampled, tenths
from cllm4rec.data.interactions import Interactions
from reference.new_items import neighbour_weights, new_items_scores

KINDS = ["red guitar strings", "drum sticks of oak", "a piano stool"]


@pytest.fixture(scope="module")
def log():
    """20 users who each like one kind of thirty items, of which the last three are new."""
    rng = np.random.default_rng(1)
    rows = [rng.choice(np.arange(user % 3, 27, 3), 4, replace=False) for user in range(20)]
    words = [f"{KINDS[item % 3]} number {item}" for item in range(30)]
    return Interactions.from_lists([row.tolist() for row in rows], 30), Context(30, words)


@given(number=st.integers(0, 70), seed=st.integers(0, 5))
def test_tenths_are_alike_in_size_and_hold_no_item_twice(number, seed):
    known = np.arange(number) * 3
    draws = tenths(known, seed)
    assert [len(draw) for draw in draws] == [number // 10] * 10
    drawn = np.concatenate(draws)
    assert len(set(drawn)) == len(drawn) == number // 10 * 10
    assert set(drawn) <= set(known)
    assert all((np.diff(draw) > 0).all() for draw in draws)


@pytest.mark.parametrize("per_user", [False, True])
def test_text_weight_and_offset_are_those_of_all_draws(log, per_user):
    """One user and one draw at a time: the text's own scores spread as the neighbours' means do,
    and items taken for new get their share of all lists."""
    train, context = log
    baseline = baseline_named("ease-new-items", {"depth": 0, "per_user": per_user})
    point = baseline.grid(30)[-1]
    scorer = baseline.refitted(point, train, context)
    weights, vectors = scorer.weights.tolist(), scorer.vectors.tolist()
    known = np.flatnonzero(train.item_counts()).tolist()
    histories = [row.tolist() for row in np.split(train.items, train.offsets[1:-1])]
    pretended = []
    for draw in tenths(np.array(known), context.seed):
        taken = draw.tolist()
        rest = [item for item in known if item not in taken]
        near = neighbour_weights(vectors, taken, rest, point["k"], point["power"])
        pretended.append((taken, near))

    def scores(taken, near, items, *numbers):
        kept = [item for item in items if item not in taken]
        return np.array(new_items_scores(weights, vectors, taken, near, kept, *numbers, per_user))

    spread = []
    for taken, near in pretended:
        for items in histories:
            means, own, moved = (
                scores(taken, near, items, *numbers)[taken]
                for numbers in ((0, 1, 0), (1, 1, 0), (0, 1, 1))
            )
            unit = (moved - means)[0]
            spread.append((np.std(means / unit), np.std((own - means) / unit)))
    ratio = np.mean(spread, axis=0)[0] / np.mean(spread, axis=0)[1]
    assert scorer.text_weight == pytest.approx(point["text_weight"] * ratio, rel=1e-3)

    def share(offset):
        found = []
        for taken, near in pretended:
            for items in histories:
                given = scores(taken, near, items, scorer.text_weight, scorer.scale, offset)
                given[[item for item in items if item not in taken]] = -np.inf
                found.append(np.isin(np.argsort(-given)[: len(taken)], taken).mean())
        return np.mean(found)

    wanted = np.mean([np.isin(train.items, taken).mean() for taken, _ in pretended])
    step = 1e-4 * abs(scorer.offset)
    assert share(scorer.offset - step) < wanted <= share(scorer.offset + step)


def test_another_draw_alone_has_another_share(log):
    """What ten draws are for: of one, chance decides."""
    train, context = log
    known = np.flatnonzero(train.item_counts())
    one = {np.isin(train.items, draw).mean() for draw in tenths(known, context.seed)}
    assert len(one) > 1
    some = [Calibration(*np.ones((3, 2, 1), np.float32), share=share) for share in (0.1, 0.2, 0.6)]
    joined = Calibration.joined(some)
    assert joined.share == pytest.approx(0.3)
    assert joined.others.shape == joined.means.shape == joined.own.shape == (6, 1)


def test_a_map_that_sets_the_offset_has_not_seen_the_items_taken_for_new(
    log, backbone, tmp_path, monkeypatch
):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path))
    train, context = log
    reader = {"backbone": str(backbone), "depth": 1, "train": True, "epochs": 1}
    baseline = baseline_named("ease-new-items", reader)
    unseen, calibrated = {}, []
    with_trained, calibration = baseline.with_trained, NewItemsScorer.calibration

    def noted(vectors, *given):
        found = with_trained(vectors, *given)
        unseen[id(found)] = found, set(given[2].tolist())
        return found

    def used(pretended, sample):
        calibrated.append((id(pretended.vectors), pretended.new.tolist()))
        return calibration(pretended, sample)

    monkeypatch.setattr(baseline, "with_trained", noted)
    monkeypatch.setattr(NewItemsScorer, "calibration", used)
    scorer = baseline.refitted({**baseline.grid(30)[0], "trained": True}, train, context)
    assert len(calibrated) == TENTHS
    for vectors, taken in calibrated:
        assert set(taken) <= unseen[vectors][1]
    assert unseen[id(scorer.vectors)][1] == set()  # what is scored has seen all
    # Others like the items left out: all that changes is what must not be seen.
    left = np.array(calibrated[0][1])
    items, places = train.items.copy(), np.flatnonzero(np.isin(train.items, left))
    items[places] = np.resize(left[::-1], len(places))
    changed = Interactions(train.offsets, items, train.num_items)
    first, second = (
        with_trained(context.text_vectors, each, context, left) for each in (train, changed)
    )
    np.testing.assert_array_equal(first, second)
    whole = with_trained(context.text_vectors, train, context)
    assert whole.tobytes() != first.tobytes()


def test_too_few_items_to_take_any_leave_the_offset_alone():
    train = Interactions.from_lists([[0, 1], [1, 2], [0, 2]], 4)
    context = Context(4, ["red guitar", "red drum", "blue drum", "blue guitar"])
    baseline = baseline_named("ease-new-items", {"depth": 0})
    scorer = baseline.refitted(baseline.grid(4)[0], train, context)
    assert (scorer.offset, scorer.text_weight) == (0, 0)
    assert sampled(train, 0).num_users == 3
