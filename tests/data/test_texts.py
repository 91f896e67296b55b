import numpy as np
import pytest

from cllm4rec.data import texts as texts_module
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder


def prepared(tmp_path, items=(), users=(), reviews=()):
    """Two users and three items, everything in training."""
    log = [row for row in small_log(2, 3, 3)]
    write_rows(tmp_path / "in", "interactions", log)
    for stem, rows in (("items", items), ("users", users), ("reviews", reviews)):
        if rows:
            write_rows(tmp_path / "in", stem, rows)
    split = [{"user_id": x["user_id"], "item_id": x["item_id"], "part": "train"} for x in log]
    dataset, _ = prepare_folder(tmp_path / "in", split=write_rows(tmp_path, "split", split))
    return dataset.texts


def test_texts_stand_in_the_order_of_the_numbers(tmp_path):
    texts = prepared(
        tmp_path,
        items=[
            {"item_id": "i2", "title": "two", "text": None, "year": 2002},
            {"item_id": "i0", "title": None, "text": "zero", "year": None},
        ],
        users=[{"user_id": "u1", "age": 30, "city": "X"}],
    )
    assert texts.item_titles == [None, None, "two"]
    assert texts.item_texts == ["zero", None, None]
    assert texts.item_features == {"year": [None, None, "2002"]}
    assert texts.user_features == {"age": [None, "30"], "city": [None, "X"]}
    assert texts.item_words() == ["zero", "", "two"]


def test_title_and_text_are_joined(tmp_path):
    texts = prepared(tmp_path, items=[{"item_id": "i1", "title": "One", "text": "The first."}])
    assert texts.item_words() == ["", "One. The first.", ""]


def test_without_titles_and_texts_the_training_reviews_speak(tmp_path):
    reviews = [
        {"user_id": "u1", "item_id": "i0", "text": "second user"},
        {"user_id": "u0", "item_id": "i0", "text": "first user"},
        {"user_id": "u0", "item_id": "i2", "text": "fine"},
    ]
    texts = prepared(tmp_path, reviews=reviews)
    assert texts.item_words() == ["first user second user", "", "fine"]


def test_without_any_text_there_are_no_words(tmp_path):
    texts = prepared(tmp_path)
    assert texts.item_words() == ["", "", ""]
    assert texts.item_features == texts.user_features == {}
    assert list(texts.reviews()) == []


@pytest.mark.parametrize(
    "said",
    [
        {"items": [{"item_id": "i1", "title": "One"}]},
        {"items": [{"item_id": "i1", "text": "The first."}]},
        {"items": [{"item_id": "i1", "year": 2002}]},
        {"users": [{"user_id": "u1", "city": "X"}]},
        {"reviews": [{"user_id": "u0", "item_id": "i0", "text": "fine"}]},
    ],
)
def test_any_is_true_whatever_is_said(tmp_path, said):
    assert prepared(tmp_path, **said).any()


def test_any_is_false_where_nothing_or_nothing_but_blanks_is_said(tmp_path):
    assert not prepared(tmp_path / "nothing").any()
    blank = {"items": [{"item_id": "i1", "title": "  "}]}
    reviews = [{"user_id": "u0", "item_id": "i0", "text": "\n"}]
    assert not prepared(tmp_path / "blank", **blank, reviews=reviews).any()


def test_reviews_are_streamed_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(texts_module, "BATCH_ROWS", 2)
    reviews = [
        {"user_id": row["user_id"], "item_id": row["item_id"], "text": f"{row['item_id']}!"}
        for row in small_log(2, 3, 3)
    ]
    batches = list(prepared(tmp_path, reviews=reviews).reviews())
    assert [len(texts) for *_, texts in batches] == [2, 2, 2]
    users, items = (np.concatenate([batch[place] for batch in batches]) for place in (0, 1))
    assert (users.dtype, items.dtype) == (np.int32, np.int32)
    assert users.tolist() == [0, 0, 0, 1, 1, 1]
    assert items.tolist() == [0, 1, 2, 0, 1, 2]
    assert [text for *_, texts in batches for text in texts] == ["i0!", "i1!", "i2!"] * 2


def test_columns_of_web_addresses_are_no_words(tmp_path):
    """Parts of addresses, such as jpg and the numbers of pictures, say nothing about an item."""
    addresses = ["http://a.org/1.jpg", "HTTPS://b.org", "www.c.org"]
    mostly = ["http://a.org", None, "no address"]
    rows = [
        {
            "item_id": f"i{at}",
            "title": f"t{at}",
            "url": addresses[at],
            "half": mostly[at],
            "kind": k,
        }
        for at, k in enumerate(["httpd", "wwwords", "see http://d.org"])
    ]
    texts = prepared(tmp_path, items=rows)
    assert texts.word_features.keys() == {"half", "kind"}
    assert texts.item_features.keys() == {"url", "half", "kind"}
