import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.tokens.space import ANONYMOUS, NOBODY, TokenSpace
from support.strategies import token_spaces

SPACE = TokenSpace(num_words=10, num_users=4, num_items=3)


def test_layout_is_words_then_users_then_items():
    assert [SPACE.user(n) for n in range(4)] == [10, 11, 12, 13]
    assert [SPACE.item(n) for n in range(3)] == [14, 15, 16]
    assert SPACE.size == 17


@given(token_spaces(), st.data())
def test_numbers_come_back_from_their_tokens(space, data):
    user = data.draw(st.integers(0, space.num_users - 1))
    item = data.draw(st.integers(0, space.num_items - 1))
    assert space.user_number(space.user(user)) == user
    assert space.item_number(space.item(item)) == item


@given(token_spaces(max_count=20))
def test_every_token_is_of_exactly_one_kind(space):
    tokens = np.arange(space.size)
    kinds = np.stack([space.is_word(tokens), space.is_user(tokens), space.is_item(tokens)])
    assert (kinds.sum(axis=0) == 1).all()
    assert kinds.sum(axis=1).tolist() == [space.num_words, space.num_users, space.num_items]


def test_users_and_items_have_the_tokens_of_their_kind():
    assert all(SPACE.is_user(SPACE.user(number)) for number in range(4))
    assert all(SPACE.is_item(SPACE.item(number)) for number in range(3))


@pytest.mark.parametrize("token", [ANONYMOUS, NOBODY, 17])
def test_the_anonymous_token_and_those_beyond_the_space_are_of_no_kind(token):
    assert not SPACE.is_word(token)
    assert not SPACE.is_user(token)
    assert not SPACE.is_item(token)


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_arrays_and_tensors_are_mapped_number_by_number(kind):
    tokens = SPACE.item(kind([[0, 2], [1, 1]]))
    assert tokens.tolist() == [[14, 16], [15, 15]]
    assert SPACE.item_number(tokens).tolist() == [[0, 2], [1, 1]]


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_entities_are_users_and_items_and_nothing_else(kind):
    tokens = kind([[SPACE.item(2), 0, 1, SPACE.user(0)], [9, ANONYMOUS, NOBODY, SPACE.item(0)]])
    assert SPACE.num_entities(tokens) == 3
    assert SPACE.num_entities(tokens[:, 1:3]) == 0


@pytest.mark.parametrize("number", [0, np.array([0]), torch.tensor([0])])
def test_a_space_without_users_makes_no_user_token(number):
    space = TokenSpace(num_words=10, num_users=0, num_items=3)
    assert space.item(0) == 10
    assert not space.is_user(np.arange(-2, 14)).any()
    with pytest.raises(ValueError, match=r"user number 0 is not in \[0, 0\)"):
        space.user(number)


def test_an_array_keeps_its_type():
    assert SPACE.item(np.array([0, 2], np.int32)).dtype == np.int32


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_no_numbers_have_no_tokens(kind):
    assert len(SPACE.user(kind([]))) == 0


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("user", -1),
        ("user", 4),
        ("item", -1),
        ("item", 3),
        ("user_number", 9),
        ("user_number", 14),
        ("item_number", 13),
        ("item_number", 17),
    ],
)
def test_out_of_range_is_refused_and_named(method, wrong):
    right = {"user": 0, "item": 0, "user_number": 10, "item_number": 14}[method]
    with pytest.raises(ValueError, match=rf"{method.removesuffix('_number')} \w+ {wrong} is not"):
        getattr(SPACE, method)(wrong)
    with pytest.raises(ValueError, match=f" {wrong} is not"):
        getattr(SPACE, method)(np.array([right, wrong, right]))


def test_a_space_that_32_bits_cannot_number_is_refused():
    TokenSpace(2**31 - 3, 1, 1)
    with pytest.raises(ValueError, match="2147483648 tokens"):
        TokenSpace(2**31 - 2, 1, 1)


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="negative count"):
        TokenSpace(10, -1, 3)
