import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named, ease, ease_text
from cllm4rec.baselines.tuning import tune
from cllm4rec.config import reported_measures
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble import linear
from cllm4rec.ensemble.linear import (
    PLAIN,
    LinearModel,
    as_chosen,
    largest,
    load_linear,
    save_linear,
    search,
    wrong_setting,
)
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear import ease as exact
from cllm4rec.linear.ordered import WINDOWS
from reference import linear_model as reference
from support.closed_form import slow_scores
from support.input_folder import write_rows
from support.planted import planted
from support.strategies import histories

__all__ = ["planted"]


def lists(interactions: Interactions) -> list[list[int]]:
    return [interactions.of(user).tolist() for user in range(interactions.num_users)]


def log(users: int = 40, items: int = 25, each: int = 7, **columns: bool) -> list[dict]:
    """Everyone goes on by 3 or 4 items from where they are; with a timestamp where asked."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(users):
        item = int(rng.integers(items))
        for place in range(each):
            rows.append({"user_id": f"u{user}", "item_id": f"i{item:02}"})
            rows[-1] |= {name: 1000 * user + place for name in columns}
            item = (item + 3 + int(rng.integers(2))) % items
    return rows


def prepared(folder, protocol: str, **columns: bool) -> Dataset:
    write_rows(folder / "in", "interactions", log(**columns))
    words = [{"item_id": f"i{n:02}", "title": f"word{n % 4} word{n % 3}"} for n in range(25)]
    write_rows(folder / "in", "items", words)
    return Dataset.load(folder / "in", protocol=protocol, folder=folder / "data")


@pytest.fixture(scope="module")
def sequences(tmp_path_factory) -> Dataset:
    return prepared(tmp_path_factory.mktemp("sequences"), "leave-last-out", timestamp=True)


@pytest.fixture(scope="module")
def found(sequences) -> LinearModel:
    with progress.quiet():
        return search(sequences.part("train"), selection_of(sequences), Context.of(sequences, 3))


def selection_of(dataset: Dataset) -> Selection:
    measures = reported_measures(newest_held_out=dataset.newest_held_out)
    return Selection.of(dataset, measures, 0)


@given(histories(num_items=8), st.sampled_from([1.0, 0.8, 0.5]))
def test_scores_equal_the_slow_loop_over_each_history_in_its_own_order(rows, decay):
    weights = np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32)
    model = LinearModel(weights, {**PLAIN, "decay": decay})
    scores = model.score(np.arange(len(rows)), Interactions.from_lists(rows, 8))
    assert scores.dtype == np.float32
    for row, history in enumerate(rows):
        wanted = reference.scores(history, weights, decay)
        np.testing.assert_allclose(scores[row], wanted, rtol=1e-4, atol=1e-4)


def test_with_decay_the_newest_item_of_an_unsorted_history_counts_most():
    # Item 2 is the newest and says item 0; item 1 is older and says item 3.
    weights = np.zeros((4, 4), np.float32)
    weights[2, 0], weights[1, 3] = 1, 1
    model = LinearModel(weights, {**PLAIN, "decay": 0.5})
    newest_last, newest_first = model.score(
        np.array([0, 1]), Interactions.from_lists([[1, 2], [2, 1]], 4)
    )
    assert newest_last[0] == pytest.approx(2 * newest_last[3])
    assert newest_first[3] == pytest.approx(2 * newest_first[0])


@pytest.mark.parametrize("alpha", [0.0, 30.0])
def test_averaged_weights_equal_the_dense_computation(sequences, alpha):
    settings = {"l2": 20.0, "alpha": alpha, "windows": True, "decay": 0.8}
    with progress.quiet():
        fitted = as_chosen(sequences.part("train"), settings, Context.of(sequences, 3))
    texts = Context.of(sequences, 3).text_vectors.astype(float)
    assert texts.shape[1] > 1
    train = lists(sequences.part("train"))
    wanted, _ = reference.averaged(train, len(sequences.items), WINDOWS, 20.0, texts, alpha)
    np.testing.assert_allclose(fitted.weights, wanted, rtol=1e-3, atol=1e-4)
    assert fitted.settings == {**PLAIN, **settings}


@pytest.mark.parametrize("transitions", [0.0, 1.0])
def test_histories_weighed_by_their_length_are_fitted_again_so(sequences, transitions):
    settings = {"l2": 20.0, "alpha": 5.0, "length_power": 0.5, "decay": 0.8}
    settings["transitions"] = transitions
    context = Context.of(sequences, 3)
    fitted = as_chosen(sequences.part("train"), settings, context)
    assert fitted.settings == {**PLAIN, **settings}
    train, asked = lists(sequences.part("train")), [3, 1, 7]
    wanted = slow_scores(train, settings, context.text_vectors.astype(float), asked)
    found = fitted.sums(Interactions.from_lists([asked], len(sequences.items))).numpy()
    np.testing.assert_allclose(found[0], wanted, rtol=1e-3, atol=1e-4)


def test_plain_weights_equal_the_dense_computation(sequences):
    settings = {"l2": 20.0, "alpha": 5.0, "windows": False, "decay": 1.0}
    texts = Context.of(sequences, 3).text_vectors.astype(float)
    train = [(1.0, history) for history in lists(sequences.part("train"))]
    wanted = reference.ease(train, len(sequences.items), 20.0, texts, 5.0)
    np.testing.assert_allclose(
        as_chosen(sequences.part("train"), settings, Context.of(sequences, 3)).weights,
        wanted,
        rtol=1e-3,
        atol=1e-5,
    )


def test_the_search_gives_the_very_weights_of_the_settings_it_chose(sequences, found):
    dataset = Dataset.open(sequences.folder)
    again = as_chosen(dataset.part("train"), found.settings, Context.of(dataset, 3))
    assert again.weights.tobytes() == found.weights.tobytes()
    assert found.weights.flags.c_contiguous


@pytest.mark.parametrize(("most", "kept"), [(25, 25), (24, 3)])
def test_a_small_catalogue_keeps_every_weight_and_a_larger_one_the_largest(
    sequences, monkeypatch, most, kept
):
    """There are 25 items."""
    monkeypatch.setattr(linear, "ALL_WEIGHTS", most)
    monkeypatch.setattr(linear, "KEPT_WEIGHTS", 3)
    settings = {**PLAIN, "l2": 10.0}
    weights = as_chosen(sequences.part("train"), settings, Context.of(sequences, 3)).weights
    assert isinstance(weights, np.ndarray) == (kept == 25)
    if kept < 25:
        assert set(np.diff(weights.indptr)) == {kept}


@given(st.integers(0, 50), st.integers(1, 12))
def test_the_largest_weights_of_every_row_are_kept(seed, kept):
    weights = np.random.default_rng(seed).normal(size=(9, 9)).astype(np.float32)
    some = largest(weights, kept)
    if kept >= 9:
        assert some is weights
        return
    dense = some.toarray()
    for row in range(9):
        wanted = sorted(range(9), key=lambda item: -abs(weights[row, item]))[:kept]
        assert set(np.flatnonzero(dense[row])) == set(wanted)
        assert (dense[row, wanted] == weights[row, wanted]).all()


@given(histories(num_items=8), st.sampled_from([1.0, 0.5]), st.sampled_from([3, 8]))
def test_sparse_weights_score_as_the_same_dense_ones_and_survive_as_arrays(rows, decay, kept):
    weights = largest(np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32), kept)
    model = LinearModel(weights, {**PLAIN, "decay": decay})
    dense = weights if isinstance(weights, np.ndarray) else weights.toarray()
    users, known = np.arange(len(rows)), Interactions.from_lists(rows, 8)
    wanted = LinearModel(dense, model.settings).score(users, known)
    again = LinearModel.from_arrays(model.arrays(), model.settings)
    np.testing.assert_allclose(model.score(users, known), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(again.score(users, known), model.score(users, known))


def test_a_catalogue_too_large_to_compare_its_items_has_no_linear_model_and_that_is_said(
    monkeypatch, planted
):
    notes: list[str] = []
    monkeypatch.setattr(progress, "note", notes.append)
    num_items = len(planted.dataset.items)
    monkeypatch.setattr(ease, "MAX_ITEMS_BY_NEIGHBOURS", num_items - 1)
    assert (
        search(
            planted.dataset.part("train"),
            selection_of(planted.dataset),
            Context.of(planted.dataset, 0),
        )
        is None
    )
    assert len(notes) == 1
    assert notes[0].startswith(f"no linear model: {num_items} items are more than")


def test_a_catalogue_too_large_for_a_square_matrix_is_fitted_by_neighbours(
    monkeypatch, sequences, tmp_path
):
    for module in (ease, ease_text, exact):
        monkeypatch.setattr(module, "MAX_ITEMS", 24)  # no square matrix can be made any more
    monkeypatch.setattr(ease, "NEIGHBOURS", 12)
    train, context = sequences.part("train"), Context.of(sequences, 3)
    with progress.quiet():
        found = search(train, selection_of(sequences), context)
    assert found.settings["neighbours"] == 12
    assert np.bincount(found.weights.indices, minlength=25).max() <= 12
    again = as_chosen(train, found.settings, context)
    np.testing.assert_array_equal(again.weights.toarray(), found.weights.toarray())
    known = sequences.known("test")
    users = np.arange(known.num_users, dtype=np.int32)
    save_linear(found, tmp_path / "linear.safetensors")
    loaded = load_linear(tmp_path / "linear.safetensors", found.settings)
    np.testing.assert_array_equal(loaded.score(users, known), found.score(users, known))


def test_rows_of_a_sparse_model_are_cut_as_those_of_a_dense_one():
    dense = np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32)
    cut = largest(csr_array(dense), 3).toarray()
    np.testing.assert_array_equal(cut, largest(dense, 3).toarray())


def test_without_texts_the_linear_model_is_plain_ease(tmp_path):
    write_rows(tmp_path / "in", "interactions", log(timestamp=True))
    dataset = Dataset.load(tmp_path / "in", folder=tmp_path / "data")
    with progress.quiet():
        model = search(dataset.part("train"), selection_of(dataset), Context.of(dataset, 0))
    assert (model.settings["alpha"], model.settings["texts"]) == (0, "none")
    assert wrong_setting(model.settings) is None
    again = as_chosen(dataset.part("train"), model.settings, Context.of(dataset, 0))
    assert again.weights.tobytes() == model.weights.tobytes()
    assert again.settings == model.settings
    # The reader is not asked what it finds in no text.
    read = as_chosen(dataset.part("train"), model.settings, Context.of(dataset, 0), {"depth": 1})
    assert read.weights.tobytes() == model.weights.tobytes()


def test_the_linear_model_is_the_strongest_closed_form_that_the_data_allow(sequences, found):
    context, baseline = Context.of(sequences, 3), baseline_named("ease-text-order")
    baseline.constants = ()  # a language model beside it knows what is popular
    with progress.quiet():
        tuned = tune(
            baseline,
            sequences.part("train"),
            selection_of(sequences),
            context,
        )
    assert found.settings == {**PLAIN, **tuned.settings}
    users, known = np.arange(9, dtype=np.int32), sequences.known("test").rows(range(9))
    sums = found.sums(known).numpy()
    np.testing.assert_allclose(sums, tuned.scorer.score(users, known), rtol=1e-4, atol=1e-5)


def test_without_an_order_it_is_that_of_texts(tmp_path):
    dataset = prepared(tmp_path, "paper")
    assert not dataset.ordered
    with progress.quiet():
        model = search(dataset.part("train"), selection_of(dataset), Context.of(dataset, 0))
        baseline = baseline_named("ease-text")
        baseline.constants = ()
        tuned = tune(
            baseline,
            dataset.part("train"),
            selection_of(dataset),
            Context.of(dataset, 0),
        )
    assert model.settings == {**PLAIN, **tuned.settings}
    assert model.weights.tobytes() == tuned.scorer.weights.tobytes()


def test_the_constant_is_left_to_the_language_model(tmp_path, monkeypatch):
    """Also where the baseline of the same name takes one."""
    monkeypatch.setattr(ease, "CLEARLY", 0.0)
    dataset = prepared(tmp_path, "paper")
    given = dataset.part("train"), selection_of(dataset), Context.of(dataset, 0)
    with progress.quiet():
        assert tune(baseline_named("ease-text"), *given).settings["constant"] > 0
        assert "constant" not in search(*given).settings
