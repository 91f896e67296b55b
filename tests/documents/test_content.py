import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import progress
from cllm4rec.config import SETS
from cllm4rec.data import texts as texts_module
from cllm4rec.data.texts import Texts
from cllm4rec.documents import content
from cllm4rec.documents.content import ContentCorpus, build_content_corpus
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.tokens.space import TokenSpace
from support.prepared_texts import EVERYTHING, write_texts
from support.strategies import any_texts
from support.tiny_backbone import NUM_WORDS, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
PROMPTS = Prompts.build(TOKENIZER)
SPACE = TokenSpace(NUM_WORDS, num_users=2, num_items=3)
USERS, ITEMS = [NUM_WORDS, NUM_WORDS + 1], [NUM_WORDS + 2, NUM_WORDS + 3, NUM_WORDS + 4]


@pytest.fixture(autouse=True)
def _quiet():
    with progress.quiet():
        yield


@pytest.fixture
def everything(tmp_path):
    return write_texts(tmp_path / "data", **EVERYTHING)


def build(texts, folder, **config):
    return build_content_corpus(
        texts, SPACE, TOKENIZER, PROMPTS, SETS.corpus.changed(**config), folder
    )


def words(text, max_words=64):
    return TOKENIZER.encode([text])[0][:max_words]


def read(corpus):
    documents = [corpus.document(index) for index in range(len(corpus))]
    return [(document.prompt.tolist(), document.main.tolist()) for document in documents]


def prompt(name, **slots):
    filled = {
        slot: entity(token) if isinstance(token, int) else np.array(token, np.int32)
        for slot, token in slots.items()
    }
    return getattr(PROMPTS, name).fill(**filled).tolist()


def test_every_text_is_a_document(tmp_path, everything):
    year, brand, age = words(" year"), words(" item brand"), words(" age")
    assert read(build(everything, tmp_path / "corpus")) == [
        (prompt("item_title", item=ITEMS[0]), words(" A toy")),
        (prompt("item_title", item=ITEMS[2]), words(" The other film")),
        (prompt("item_description", item=ITEMS[1]), words(" Lovely, for the family.")),
        (prompt("item_feature", item=ITEMS[0], column=year), words(" 1995")),
        (prompt("item_feature", item=ITEMS[2], column=year), words(" 2001")),
        (prompt("item_feature", item=ITEMS[2], column=brand), words(" Toys & Co")),
        (prompt("user_feature", user=USERS[1], column=age), words(" 31")),
        (prompt("review", user=USERS[0], item=ITEMS[2]), words(" with the best")),
        (prompt("review", user=USERS[1], item=ITEMS[1]), words(" not bad at all")),
    ]


def test_lengths_and_vocabulary_are_those_of_the_documents(tmp_path, everything):
    corpus = build(everything, tmp_path / "corpus")
    documents = read(corpus)
    assert corpus.lengths().tolist() == [len(p) + len(main) for p, main in documents]
    assert corpus.vocabulary().tolist() == sorted({
        token for _, main in documents for token in main
    })


def test_a_document_is_the_same_in_every_epoch(tmp_path, everything):
    corpus = build(everything, tmp_path / "corpus")
    first, later = corpus.document(7, 0), corpus.document(7, 5)
    assert first.prompt.tolist() == later.prompt.tolist()
    assert first.main.tolist() == later.main.tolist()


@given(st.lists(any_texts(), min_size=3, max_size=3), any_texts(), any_texts())
def test_no_text_forges_a_user_or_an_item(tmp_path_factory, titles, review, column):
    folder = tmp_path_factory.getbasetemp()
    texts = write_texts(
        folder / "forged data",
        titles=titles,
        user_features={column: [review, None]},
        reviews=[(1, 0, review), (0, 2, titles[0])],
    )
    corpus = build(texts, folder / "forged")
    spliced = []
    for document, main in read(corpus):
        assert 1 <= len(main) <= 64
        assert all(0 < token < NUM_WORDS for token in main)
        spliced.append([token for token in document if token >= NUM_WORDS])
    expected = [[ITEMS[item]] for item in range(3) if titles[item].strip()]
    expected += [[USERS[0]]] if review.strip() else []
    expected += [[USERS[1], ITEMS[0]]] if review.strip() else []
    expected += [[USERS[0], ITEMS[2]]] if titles[0].strip() else []
    assert spliced == expected


@given(any_texts(), st.integers(1, 12))
def test_a_long_text_keeps_its_beginning(tmp_path_factory, text, max_words):
    folder = tmp_path_factory.getbasetemp()
    texts = write_texts(folder / "long data", titles=[text, None, None])
    corpus = build(texts, folder / "long", max_words=max_words)
    whole = words(" " + " ".join(text.split()), max_words) if text.strip() else []
    assert [main for _, main in read(corpus)] == ([whole] if whole else [])


def test_features_have_a_cap_of_their_own_and_so_have_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "FEATURE_WORDS", 3)
    texts = write_texts(
        tmp_path / "data",
        titles=["b c d e", None, None],
        item_features={"x_y_z " * 20: ["b c d e", None, None]},
    )
    [title, feature] = read(build(texts, tmp_path / "corpus", max_words=6))
    assert title[1] == words(" b c d e", 6)
    assert feature[1] == words(" b c d e", 3)
    assert feature[0] == prompt("item_feature", item=ITEMS[0], column=words(" x y z", 3))


def test_what_was_built_can_be_opened_again_without_being_read(tmp_path, everything):
    built = build(everything, tmp_path / "corpus")
    opened = ContentCorpus.open(tmp_path / "corpus")
    assert read(opened) == read(built)
    assert opened.vocabulary().tolist() == built.vocabulary().tolist()
    assert isinstance(opened.document(0).main.base.base, np.memmap)
    assert not opened.document(0).main.flags.writeable
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == [
        "offsets.npy",
        "prompt_lengths.npy",
        "tokens.npy",
        "vocabulary.npy",
    ]


def test_no_texts_at_all_are_no_documents(tmp_path):
    corpus = build(write_texts(tmp_path / "data"), tmp_path / "corpus")
    assert len(corpus) == 0
    assert corpus.lengths().tolist() == []
    assert corpus.vocabulary().tolist() == []


def test_batches_leave_no_trace(tmp_path, everything, monkeypatch):
    build(everything, tmp_path / "whole")
    monkeypatch.setattr(content, "_BATCH_TEXTS", 1)
    monkeypatch.setattr(texts_module, "BATCH_ROWS", 2)
    build(everything, tmp_path / "split")
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "split" / path.name).read_bytes()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_build_leaves_the_older_corpus(tmp_path, everything, error):
    build(everything, tmp_path / "corpus")

    class Interrupted(Texts):
        def reviews(self):
            yield np.array([0], np.int32), np.array([1], np.int32), ["a review"]
            raise error

    with pytest.raises(error):
        build(Interrupted(everything.opened), tmp_path / "corpus")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "data"]
    assert len(ContentCorpus.open(tmp_path / "corpus")) == 9


def test_texts_that_do_not_fit_the_space_are_refused(tmp_path):
    texts = write_texts(tmp_path / "data", reviews=[(0, 3, "who?")])
    with pytest.raises(ValueError, match="item number 3"):
        build(texts, tmp_path / "corpus")
