"""A history read piece by piece is recommended for as one that is read at once."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import progress
from cllm4rec.api import CLLM4Rec
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError, UnknownId
from support.examples import examples
from support.tiny_backbone import write_tiny_gpt2, write_tiny_llama
from support.tiny_families import write_tiny
from support.trained import train_toy_run

LONGEST = 12
ORDERED = ("corpus.order=time", "finetune.target=next", f"corpus.max_items={LONGEST}")
VARIANTS = {
    "llama, blended": (write_tiny_llama, ("model.skip_decay=0.8",)),
    "with words of the titles": (
        write_tiny_llama,
        ("corpus.words=titles", "corpus.title_words=3", "corpus.history_words=14"),
    ),
    "gpt2, alone": (write_tiny_gpt2, ("model.linear=false",)),
    "gemma 3, by the library": (partial(write_tiny, "gemma3"), ("backbone.mode=lora",)),
    "trained, no skip": (write_tiny_llama, ("backbone.mode=full", "model.history_skip=false")),
}


@pytest.fixture(scope="module", params=VARIANTS)
def model(request, tmp_path_factory):
    write, overrides = VARIANTS[request.param]
    folder = tmp_path_factory.mktemp("incremental")
    run = train_toy_run(folder, write(folder / "backbone"), *ORDERED, *overrides)
    with progress.quiet():
        return CLLM4Rec.load(run.path)


def ids_of(model, numbers) -> list[str]:
    items = model.recommender_.dataset.items
    return [items.id(number) for number in numbers]


@given(st.lists(st.lists(st.integers(0, 79), max_size=4), min_size=1, max_size=8))
@examples(25)
def test_scores_are_those_of_the_whole_history(model, pieces):
    """Repeated items, nothing at all, and more than the document takes included."""
    growing, whole = model.follow(), []
    for piece in pieces:
        growing.append(ids_of(model, piece))
        for item in piece:
            whole = [other for other in whole if other != item] + [item]
        assert len(growing) == len(whole)
        history = Interactions.from_lists([whole], 80)
        wanted = model.recommender_.scorer.score(np.array([-1], np.int32), history)[0]
        np.testing.assert_allclose(growing.scores(), wanted, rtol=1e-4, atol=1e-4)


def test_lists_are_those_of_a_bare_history(model):
    history = ids_of(model, [3, 50, 7, 21])
    growing = model.follow(history[:2])
    growing.append(history[2:])
    found, wanted = growing.recommend(10), model.recommend_for_history(history, 10)
    assert [item for item, _ in found] == [item for item, _ in wanted]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in wanted], atol=1e-4)


def test_of_a_repeated_item_the_newest_place_counts(model):
    once, twice = ids_of(model, [50, 7, 3]), ids_of(model, [3, 50, 7, 3])
    wanted = model.recommend_for_history(once, 10)
    assert model.recommend_for_history(twice, 10) == wanted
    growing = model.follow(twice[:3])
    growing.append(twice[3:])
    found = growing.recommend(10)
    assert [item for item, _ in found] == [item for item, _ in wanted]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in wanted], atol=1e-4)


def test_a_list_is_no_longer_than_the_catalogue(model):
    growing = model.follow(ids_of(model, [1]))
    assert len(growing.recommend(10**12)) == 79
    with pytest.raises(InputError, match="k = 0 asks for no item"):
        growing.recommend(0)


def test_only_new_items_are_read_until_the_document_is_full(model, monkeypatch):
    growing = model.follow()
    prompt, read = growing._cache.tokens, []
    backbone = growing._model.backbone
    extend = backbone.extend

    def counting(embedded, cache):
        read.append(len(embedded))
        return extend(embedded, cache)

    monkeypatch.setattr(backbone, "extend", counting)
    for item in ids_of(model, range(LONGEST + 2)):
        growing.append([item])
    if growing._scorer.task.words is None:
        assert read == [1] * LONGEST + [prompt + LONGEST] * 2
        return
    # Four titles of three words are in the budget of 14; then the oldest title goes.
    items = [*range(5, LONGEST + 1), LONGEST, LONGEST]
    assert read == [4] * 4 + [prompt + 12 + count for count in items]


def test_an_unknown_item_adds_nothing(model):
    growing = model.follow(ids_of(model, [1]))
    before = growing.scores()
    with pytest.raises(UnknownId):
        growing.append([*ids_of(model, [2]), "no such item"])
    assert len(growing) == 1
    np.testing.assert_array_equal(growing.scores(), before)


def test_of_nobody_without_a_history_nothing_is_asked(model):
    with pytest.raises(InputError, match="history is empty"):
        model.follow().recommend()


def test_sets_do_not_grow(tmp_path):
    run = train_toy_run(tmp_path, write_tiny_llama(tmp_path / "backbone"))
    with progress.quiet(), pytest.raises(InputError, match=r"corpus\.order=time"):
        CLLM4Rec.load(run.path).follow()
