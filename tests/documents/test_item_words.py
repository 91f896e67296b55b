"""Words of titles behind the items of documents."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cllm4rec.config import SETS
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.item_words import ItemWords
from cllm4rec.documents.rows import TokenRows, offsets_of
from cllm4rec.tokens.space import ANONYMOUS, NOBODY, TokenSpace
from cllm4rec.tokens.tokenizer import WordTokenizer

SPACE = TokenSpace(num_words=50, num_users=3, num_items=6)
TITLES = st.lists(st.lists(st.integers(0, 49), max_size=4), min_size=6, max_size=6)
TOKENS = st.lists(st.integers(0, 58) | st.sampled_from([ANONYMOUS, NOBODY]), max_size=12)
DOCUMENTS = st.lists(st.tuples(TOKENS, TOKENS), max_size=4)


def item_words(titles, most):
    counts = np.array([len(title) for title in titles])
    flat = np.array([word for title in titles for word in title], np.int32)
    return ItemWords(flat, offsets_of(counts), most)


def by_hand(prompt, main, titles, most):
    """Both parts, written token by token; which titles there is room for is found first."""
    room, kept = most, []
    for token in reversed([*prompt, *main]):
        title = titles[token - 53] if token >= 53 else []
        # Where a title has no room, none of the older items' titles stands there either.
        room = room - len(title) if room >= len(title) else -1
        kept.append(title if room >= 0 else [])
    kept.reverse()
    parts, at = [], 0
    for part in (prompt, main):
        parts.append([])
        for token in part:
            parts[-1] += [token, *kept[at]]
            at += 1
    return parts


def as_rows(documents):
    parts = [[*prompt, *main] for prompt, main in documents]
    tokens = np.array([token for part in parts for token in part], np.int32)
    offsets = offsets_of(np.array([len(part) for part in parts], np.int64))
    return TokenRows(tokens, offsets, np.array([len(prompt) for prompt, _ in documents], np.int64))


@given(documents=DOCUMENTS, titles=TITLES, most=st.integers(0, 12))
@settings(max_examples=80)
def test_words_stand_behind_their_items_as_written_by_hand(documents, titles, most):
    words = item_words(titles, most)
    rows = words.beside(as_rows(documents), SPACE)
    for at, (prompt, main) in enumerate(documents):
        wanted = by_hand(prompt, main, titles, most)
        tokens = rows.tokens[rows.offsets[at] : rows.offsets[at + 1]].tolist()
        assert [tokens[: rows.main_starts[at]], tokens[rows.main_starts[at] :]] == wanted
        one = Document(np.array(prompt, np.int32), np.array(main, np.int32))
        alone = words.within(one, SPACE)
        assert [alone.prompt.tolist(), alone.main.tolist()] == wanted, "batch = one by one"


@given(documents=DOCUMENTS, titles=TITLES, most=st.integers(0, 12))
@settings(max_examples=40)
def test_no_document_is_longer_than_foretold(documents, titles, most):
    words = item_words(titles, most)
    lists = [[token - 53 for token in (*p, *m) if token >= 53] for p, m in documents]
    histories = Interactions.from_lists(lists, 6)
    rows = as_rows(documents)
    longer = words.beside(rows, SPACE).lengths - rows.lengths
    assert (longer <= words.most_of(histories)).all()
    assert (longer <= most).all()


def test_the_newest_titles_are_whole_and_kept():
    words = item_words([[1, 2], [3, 4], [5, 6], [], [], []], most=5)
    document = Document(np.array([53, 54, 55], np.int32), np.empty(0, np.int32))
    assert words.within(document, SPACE).prompt.tolist() == [53, 54, 3, 4, 55, 5, 6]


@pytest.fixture(scope="module")
def tokenizer(backbone):
    return WordTokenizer.from_folder(backbone, 10**6)


def test_titles_begin_with_a_space_and_are_cut(tokenizer):
    config = SETS.corpus.changed(title_words=3, history_words=9)
    texts = ["a quiet  film about families", None, "", "  ", "a"]
    words = ItemWords.of(texts, tokenizer, config)
    [whole] = tokenizer.encode([" a quiet film"])
    assert words.tokens[: words.offsets[1]].tolist() == whole[:3]
    assert words.counts.tolist()[1:4] == [0, 0, 0]
    assert words.counts[4] > 0
    assert words.most == 9
