"""What a run keeps to place items that come with a text alone, and the rule it learned."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from cllm4rec.baselines import Context
from cllm4rec.baselines.reads import EPOCHS
from cllm4rec.baselines.taken_for_new import sampled
from cllm4rec.baselines.trained_reading import trained_map
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.linear.cooccurrence import cooccurrence
from cllm4rec.models.reading import Reader
from cllm4rec.recommender.calibration import _recall, calibrated, taken_items
from cllm4rec.recommender.placing import NUMBERS, WORDS, ItemTexts, Placing, ReadTexts, Rule
from cllm4rec.recommender.saved import Recommender
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.finetune import placing_of
from cllm4rec.stages.setup import Setup
from support.trained import small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone):
    return small_run(tmp_path_factory, backbone)


@pytest.fixture(scope="module")
def recommender(run) -> Recommender:
    return Recommender.load(run.path)


def test_items_taken_for_new_get_their_share_of_the_lists(run, recommender):
    placing = Placing.read(run.path)
    rule, texts = placing.rule, placing.texts
    scorer, train = recommender.scorer, recommender.dataset.part("train")
    seed = derived_seed(recommender.config.seed, "placing")
    assert calibrated(scorer, train, [texts], seed) == (
        rule,
        texts,
    )  # as it was when the run was trained
    taken = taken_items(train, seed)
    lists = wanted = pairs = 0
    for items in (row for row in _rows(sampled(train, seed)) if not set(row) <= set(taken)):
        history = [item for item in items if item not in taken]
        scores = _scores(recommender, history)
        rest = [n for n in range(len(scores)) if train.item_counts()[n] and n not in taken]
        for item in taken:
            cosines = np.maximum(texts.items[rest] @ texts.items[item], 0)
            last = np.sort(cosines)[-min(rule.k, len(rest))]
            weights = np.where(cosines >= last, cosines, 0) ** rule.power
            mean = weights @ scores[rest] / max(weights.sum(), 1e-12)
            own = np.mean([texts.items[each] @ texts.items[item] for each in history])
            scores[item] = rule.scale * (mean + rule.text_weight * own) + rule.offset
        scores[history] = -np.inf
        listed = np.argsort(-scores)[: len(taken)]
        lists += np.isin(listed, taken).sum() / len(taken)
        wanted += np.isin(items, taken).sum()
        pairs += len(items)
    assert lists / recommender.dataset.part("train").num_users == pytest.approx(
        wanted / pairs, abs=0.02
    )
    assert rule.share == pytest.approx(wanted / pairs)


@pytest.mark.parametrize("trained", [False, True])
def test_a_language_model_that_reads_for_the_linear_model_reads_new_texts_too(
    run, backbone, tmp_path, trained
):
    placing = Placing.read(run.path)
    words = ["red guitar", "blue drum", "", "big red drum", "green flute of a king"] * 16
    reader = {"backbone": str(backbone), "depth": 1}
    raw = Reader(**reader).vectors(words)
    read = ReadTexts.of(reader, raw)
    if trained:
        likes = Interactions.from_lists([[0, 3], [0, 3, 5], [1, 6], [1, 4]] * 5, len(words))
        found = trained_map(raw, cooccurrence(likes), 1, 0)
        assert found is not None
        read = read.with_trained(found, raw)
    texts = ItemTexts(placing.texts.space, read)
    Placing(texts, placing.rule).write(tmp_path)
    (tmp_path / "model").mkdir()
    for name in (NUMBERS, WORDS):
        shutil.move(tmp_path / name, tmp_path / "model" / name)
    again = Placing.read(tmp_path).texts
    np.testing.assert_array_equal(again.items, texts.items)
    new = again.vectors(["green flute of a king", ""])
    assert new.shape[1] == texts.items.shape[1] > placing.texts.space.placed.shape[1]
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), [1, 0], atol=1e-5)
    # Read alone or among others, a text's vector is the same but for rounding.
    parts = again.read.vectors(["blue drum"])
    assert len(parts) == 1 + trained
    for part, items in zip(parts, texts.read.items, strict=True):
        np.testing.assert_allclose(part[0], items[1], atol=1e-3)
    # Cosines are sums of the parts' cosines, each with its weight.
    space = placing.texts.space.placed
    weights = [0.5, 0.5] if not trained else [0.5 / 1.35, 0.5 / 1.35, 0.35 / 1.35]
    pairs = zip(weights, [space, *texts.read.items], strict=True)
    slow = sum(weight * (part[1] @ part[3]) for weight, part in pairs)
    assert texts.items[1] @ texts.items[3] == pytest.approx(slow, abs=1e-5)


def test_the_vectors_that_find_most_are_kept(run, recommender, monkeypatch):
    placing = Placing.read(run.path)
    space, train = placing.texts.space, recommender.dataset.part("train")
    draw, seed = np.random.default_rng(0), derived_seed(recommender.config.seed, "placing")
    shuffled = [space.tf_idf[draw.permutation(space.num_items)] for _ in range(2)]
    texts = [placing.texts, *(ItemTexts(replace(space, tf_idf=each)) for each in shuffled)]
    found = []

    def noted(*given):
        found.append(_recall(*given))
        return found[-1]

    monkeypatch.setattr("cllm4rec.recommender.calibration._recall", noted)
    # Whatever first places they have: tests/recommender/test_calibration.py.
    monkeypatch.setattr("cllm4rec.recommender.calibration.MOST_OF_FIRST", 1e9)
    rule, kept = calibrated(recommender.scorer, train, texts, seed)
    best = np.reshape(found, (3, -1)).max(axis=1)
    assert len(set(best)) == 3
    assert kept is texts[best.argmax()]
    assert rule == calibrated(recommender.scorer, train, [kept], seed)[0]


def test_of_items_that_are_level_as_many_count_as_have_a_place():
    others, placed = np.array([[4, 3, 2, 1.0]]), np.array([[3.5, 2, 2, 0, 5]])
    sample = Interactions.from_lists([[0, 1, 2, 3, 4, 8]], 9)
    # 5, 4, 3.5 and 3 are the first four; then a list of three ends among three that are level.
    assert _recall(others, placed, np.arange(5), sample) == pytest.approx(2 / 5)
    others, placed = np.array([[4, 2, 1.0]]), np.array([[2, 2, 5, 0, 0.0]])
    assert _recall(others, placed, np.arange(5), sample) == pytest.approx((1 + 2 / 3) / 5)


def test_where_texts_help_the_linear_model_what_is_read_may_place(run, recommender, monkeypatch):
    scorer, space = recommender.scorer, Placing.read(run.path).texts.space
    offered = []

    def last(scorer, train, texts, seed):
        offered.append(texts)
        return Rule(), texts[-1]

    monkeypatch.setattr("cllm4rec.stages.finetune.calibrated", last)
    linear = scorer.linear
    assert linear is not None
    with Setup.begun(run, recommender.config) as setup:
        for alpha in (0.0, 3.0):
            settings = {**linear.settings, "alpha": alpha, "texts": "words"}
            asked = replace(scorer, linear=replace(linear, settings=settings))
            placed = placing_of(setup, asked, space).texts
            assert placed is offered[-1][-1]
        assert placing_of(setup, replace(scorer, linear=None), space).texts.read is None
    refused, helped, none = offered
    assert len(refused) == len(none) == 1
    words, frozen, trained = helped
    assert words.read is None
    assert frozen.read.trained is None
    # The map has not seen the items that are taken for new.
    train = recommender.dataset.part("train")
    seed = derived_seed(recommender.config.seed, "placing")
    others = train.where(~np.isin(train.items, taken_items(train, seed)))
    raw = Reader(**trained.read.reader).vectors(Context.of(recommender.dataset).words)
    map_of_others = trained_map(raw, cooccurrence(others), EPOCHS, seed)
    np.testing.assert_array_equal(trained.read.trained.axes, map_of_others.axes)
    np.testing.assert_array_equal(trained.read.items[0], frozen.read.items[0])


def test_a_run_that_keeps_nothing_says_so_in_one_line(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match=r"keeps nothing to place items by: .* train again"):
        Placing.read(tmp_path)


def _rows(histories):
    return [histories.of(user).tolist() for user in range(histories.num_users)]


def _scores(recommender, history):
    from cllm4rec.data.interactions import Interactions

    one = Interactions.from_lists([history], recommender.scorer.num_items)
    return recommender.scorer.score(np.full(1, -1, np.int32), one)[0].astype(np.float64)


def test_of_very_many_items_a_random_part_is_taken_for_new(monkeypatch):
    train = Interactions.from_lists([range(900)], 900)
    whole = taken_items(train, 4)
    monkeypatch.setattr("cllm4rec.recommender.calibration.MOST_TAKEN", 30)
    some = taken_items(train, 4)
    assert (len(whole), len(some)) == (90, 30)
    assert (np.diff(some) > 0).all()
    assert np.isin(some, whole).all()
    assert some.max() > whole[29]  # not those with the lowest numbers
