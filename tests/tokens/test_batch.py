import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.documents.document import Document
from cllm4rec.tokens.batch import collate, length_buckets, next_tokens
from reference.tokens import scored_positions
from support.strategies import documents


def document(prompt, main):
    return Document(np.array(prompt, np.int32), np.array(main, np.int32))


def scored(batch):
    return list(zip(*(part.tolist() for part in next_tokens(batch)), strict=True))


def test_documents_are_padded_on_the_right_with_zero():
    batch = collate([document([5, -1], [7]), document([3], []), document([4, 4], [8, 9])])
    assert batch.tokens.tolist() == [[5, -1, 7, 0], [3, 0, 0, 0], [4, 4, 8, 9]]
    assert batch.lengths.tolist() == [3, 1, 4]
    assert batch.main_starts.tolist() == [2, 1, 2]


@given(st.lists(documents(), max_size=5))
def test_every_document_comes_back_from_its_row(given_documents):
    batch = collate(given_documents)
    assert batch.tokens.dtype == batch.lengths.dtype == batch.main_starts.dtype == torch.int64
    assert batch.tokens.shape[1] == max(map(len, given_documents), default=0)
    for row, expected in enumerate(given_documents):
        tokens = batch.tokens[row].tolist()
        start, length = int(batch.main_starts[row]), int(batch.lengths[row])
        assert tokens[:start] == expected.prompt.tolist()
        assert tokens[start:length] == expected.main.tolist()
        assert not any(tokens[length:])


def test_the_first_main_text_token_is_scored_from_the_prompts_last_position():
    assert scored(collate([document([5, 6], [7, 8])])) == [(0, 1, 7), (0, 2, 8)]


@given(st.lists(documents(), max_size=5))
def test_scored_tokens_are_those_of_the_loop(given_documents):
    assert scored(collate(given_documents)) == scored_positions(given_documents)


@given(st.lists(documents(), min_size=1, max_size=5))
def test_padding_changes_nothing(given_documents):
    alone = [
        (row, position, token)
        for row, one in enumerate(given_documents)
        for _, position, token in scored(collate([one]))
    ]
    long = document([1] * 30, [])
    assert scored(collate([*given_documents, long])) == alone


def test_a_prompt_alone_has_nothing_to_score():
    assert scored(collate([document([5, 6], [])])) == []


def test_a_batch_moves_to_a_device_whole():
    batch = collate([document([5, 6], [7])]).to("meta")
    assert {batch.tokens.device.type, batch.lengths.device.type, batch.main_starts.device.type} == {
        "meta"
    }


lengths_of_documents = st.lists(st.integers(0, 40), max_size=60).map(np.array)


@given(
    lengths_of_documents,
    st.integers(1, 200),
    st.one_of(st.none(), st.integers(1, 5)),
    st.one_of(st.none(), st.integers(0, 3)),
    st.booleans(),
)
def test_every_document_is_in_one_bucket_within_the_budget(
    lengths, max_tokens, max_rows, seed, padding
):
    rng = None if seed is None else np.random.default_rng(seed)
    given = {"max_tokens": max_tokens, "max_rows": max_rows, "padding": padding}
    buckets = length_buckets(lengths, rng=rng, **given)
    indices = np.concatenate([np.empty(0, np.int64), *buckets])
    assert sorted(indices.tolist()) == list(range(len(lengths)))
    for bucket in buckets:
        assert len(bucket) >= 1
        read = len(bucket) * lengths[bucket].max() if padding else lengths[bucket].sum()
        assert len(bucket) == 1 or read <= max_tokens
        assert max_rows is None or len(bucket) <= max_rows


@given(lengths_of_documents)
def test_buckets_hold_documents_of_similar_length(lengths):
    buckets = length_buckets(lengths, max_tokens=60, max_rows=None, rng=np.random.default_rng(0))
    ranges = sorted((int(lengths[b].min()), int(lengths[b].max())) for b in buckets)
    # Sorted by their shortest document, buckets may touch but not overlap.
    assert all(this[1] <= after[0] for this, after in itertools.pairwise(ranges))


def test_buckets_are_filled():
    lengths = np.full(1000, 10)
    buckets = length_buckets(lengths, max_tokens=100, max_rows=None, rng=None)
    assert [len(bucket) for bucket in buckets] == [10] * 100


def test_without_padding_buckets_are_filled_with_documents_of_all_lengths():
    lengths = np.array([7, 1, 2, 5, 3, 2, 4])
    given = {"max_rows": None, "rng": None, "padding": False}
    buckets = length_buckets(lengths, max_tokens=12, **given)
    assert [bucket.tolist() for bucket in buckets] == [[0, 3], [6, 4, 2, 5, 1]]
    assert [len(bucket) for bucket in length_buckets(lengths, max_tokens=1, **given)] == [1] * 7


def test_without_a_generator_the_longest_come_first_in_the_order_given():
    buckets = length_buckets(np.array([1, 3, 1, 3, 2]), max_tokens=6, max_rows=None, rng=None)
    assert [bucket.tolist() for bucket in buckets] == [[1, 3], [4, 0, 2]]


def test_the_generator_decides_order_and_company():
    lengths = np.repeat([5, 6, 7, 8], 25)

    def drawn(seed):
        rng = np.random.default_rng(seed)
        return [
            bucket.tolist()
            for bucket in length_buckets(lengths, max_tokens=32, max_rows=None, rng=rng)
        ]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert {frozenset(b) for b in drawn(1)} != {frozenset(b) for b in drawn(2)}
    longest = [int(lengths[bucket].max()) for bucket in drawn(1)]
    assert longest != sorted(longest, reverse=True)


def test_no_documents_are_no_batch():
    assert length_buckets(np.array([], int), max_tokens=5, max_rows=None, rng=None) == []
    assert collate([]).tokens.shape == (0, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_scoring_in_buckets_and_writing_back_keeps_the_rows(order):
    lengths = np.arange(1, 20)[::order]
    result = np.zeros(len(lengths))
    for bucket in length_buckets(lengths, max_tokens=30, max_rows=None, rng=None):
        result[bucket] = lengths[bucket]
    assert result.tolist() == lengths.tolist()
