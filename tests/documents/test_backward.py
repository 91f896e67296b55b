"""Content documents backwards: words first, then the item that they describe."""

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.config import SETS
from cllm4rec.data.texts import Texts
from cllm4rec.documents.backward import BackwardCorpus, JoinedCorpus
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.content import build_content_corpus
from cllm4rec.documents.prompts import Prompts
from cllm4rec.tokens.space import TokenSpace
from support import tiny_models as tiny
from support.prepared_texts import EVERYTHING, write_texts
from support.tiny_backbone import NUM_WORDS, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
PROMPTS = Prompts.build(TOKENIZER)
SPACE = TokenSpace(NUM_WORDS, num_users=2, num_items=3)


def backward(texts: Texts, folder, candidates: tuple[int, ...] = (0, 1, 2)) -> BackwardCorpus:
    with progress.quiet():
        content = build_content_corpus(texts, SPACE, TOKENIZER, PROMPTS, SETS.corpus, folder)
    return BackwardCorpus(content, SPACE, PROMPTS, np.isin(np.arange(3), candidates))


@pytest.fixture
def corpus(tmp_path):
    return backward(write_texts(tmp_path / "data", **EVERYTHING), tmp_path / "corpus")


def test_every_text_about_an_item_is_a_document_of_it(corpus):
    """Titles, description, features and reviews; what is said of users alone is left out."""
    described = [
        (" A toy", 0),
        (" The other film", 2),
        (" Lovely, for the family.", 1),
        (" 1995", 0),
        (" 2001", 2),
        (" Toys & Co", 2),
        (" with the best", 2),
        (" not bad at all", 1),
    ]
    found = [corpus.document(index, 3) for index in range(len(corpus))]
    expected = [
        (TOKENIZER.encode([words])[0] + TOKENIZER.encode([" describes"])[0], [SPACE.item(item)])
        for words, item in described
    ]
    assert [(each.prompt.tolist(), each.main.tolist()) for each in found] == expected
    assert corpus.lengths().tolist() == list(map(len, found))


def test_documents_are_about_candidates_alone(tmp_path):
    corpus = backward(write_texts(tmp_path / "data", **EVERYTHING), tmp_path / "corpus", (1, 2))
    found = [int(corpus.document(index, 0).main[0]) for index in range(len(corpus))]
    assert set(found) == {SPACE.item(1), SPACE.item(2)}
    assert len(corpus.lengths()) == len(corpus) == 6


def test_without_texts_there_are_none(tmp_path):
    corpus = backward(write_texts(tmp_path / "data"), tmp_path / "corpus")
    assert len(corpus) == 0
    assert corpus.lengths().tolist() == []


def test_several_corpora_are_one_after_another(corpus):
    histories = CollaborativeCorpus(
        tiny.interactions(), tiny.SPACE, tiny.prompts(), tiny.CORPUS, seed=0
    )
    joined = JoinedCorpus([histories, corpus, histories])
    expected = [part.document(index, 2) for part in joined.parts for index in range(len(part))]
    found = [joined.document(index, 2) for index in range(len(joined))]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.prompt, other.prompt)
        assert np.array_equal(one.main, other.main)
    assert joined.lengths().tolist() == list(map(len, expected))
