"""HTML in texts of items is read as the text that it means; nothing else changes."""

import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import DataConfig
from cllm4rec.data import markup
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.further_items import read_further_items
from cllm4rec.data.markup import plain
from cllm4rec.data.recipe import recipe
from support.examples import examples
from support.input_folder import small_log, write_rows
from support.strategies import any_texts

UNCHANGED = [
    "3 < 5 and 7 > 2", "<3", "a <b c", "AT&T", "R&D", "x<y>z", "<unknown thing>", "vector<int>",
    "  two  spaces\n", "a <b and c> d", "<!-- nothing else -->", "&nothing; &amp &#; &#x; &notit;",
    "?a=1&copy=2", "<b-card>", "me <a@b.de>", "< b >", "<3 </3", f"&#{'9' * 5000};", "", "\n",
    "a <b and c == d> e",
]  # fmt: skip
READ = {
    "<b>Bosch</b> drill": "Bosch drill",
    "AT&amp;T &#39;one&#x27; &eacute;": "AT&T 'one' é",
    "one<br>two<BR />three": "one two three",
    "<p>One</p><p class='x > y'>Two</p>\n": "One Two",
    "<ul><li>red<li>blue</ul>": "red blue",
    "H<sub>2</sub>O, micro&shy;phone": "H2O, microphone",
    "<script>if (a<b) x</script><style type='a'>p {}</style>Lamp": "Lamp",
    "what <script> means": "what means",
    "<!-- wp:paragraph --><p>Text</p><!-- /wp:paragraph -->": "Text",
    "<p>a <!-- b": "a <!-- b",
    "<a href=\"x\" title='Men's'>shoes</a>": "shoes",
    '<img alt="1 < 2" src=x/>lens <td nowrap>cell': "lens cell",
    "<p>x<y>z, <3 &nothing; R&D</p>": "x<y>z, <3 &nothing; R&D",
    "<p>&nbsp;</p>": "",
    "<script>alert(1)</script>": "",
    "&amp;amp; &lt;b&gt;": "&amp; <b>",
    "line\n&gt; line": "line\n> line",
    '<img alt="12" screen">TV 24" wide > tall': 'TV 24" wide > tall',
    '<p style=font:x" >5" > 4" nails</p>': '5" > 4" nails',
    "<!DOCTYPE html><html><body>Hi</body></html>": "Hi",
    "<br / >x<div data-x class='y'>y<input disabled value='a>b'>": "x y",
    "&nbsp;x": "x",
    "a<script>x</script>b": "a b",
}
SLOW = [
    "<!--", "<a x='", '<a x="', "<a ", "<", "</b ", "<![a", "<script>", "</script ", "<p>", "&",
    "&#", '<a x="< ', "<td nowrap ", "<style></styl",
]  # fmt: skip
KNOWN = ["p", "br", "b", "STRONG", "li", "script", "style", "h1", "td", "a"]
TAGS = st.sampled_from(["<{}>", "</{}>", "<{} />", '<{} class="x">', "<{} id=x y>"])
CALM = st.text(st.characters(exclude_characters="<>&"))
ITEMS = [
    {"item_id": "i0", "title": "<b>Black &amp; Decker</b>", "text": "One<br>two", "kind": "saw"},
    {"item_id": "i1", "title": "<p>&nbsp;</p>", "text": "R&D <3", "kind": "<i>D&eacute;cor</i>"},
    {"item_id": "i&amp;<b>2</b>", "title": "x<y>z", "text": None, "kind": "<br>"},
    {"item_id": "i3", "title": "Plain", "text": "one &amp; two", "kind": "ONE &AMP; two"},
]
TITLES = ["Black & Decker", None, "x<y>z", "Plain"]
TEXTS = ["One two", "R&D <3", None, "one & two"]
KINDS = ["saw", "Décor", None, None]  # of the last the text says it
FEW = DataConfig(minimum_interactions=1)


@pytest.mark.parametrize("text", UNCHANGED)
def test_what_is_no_html_stays_as_it_is(text):
    assert plain(text) == text


@pytest.mark.parametrize("text", READ)
def test_html_is_read_as_the_text_that_it_means(text):
    assert plain(text) == READ[text]


@examples(200)
@given(CALM)
def test_a_text_without_its_signs_is_unchanged(text):
    assert plain(text) == text


@examples(200)
@given(st.lists(st.one_of(CALM, st.builds(str.format, TAGS, st.sampled_from(KNOWN)))))
def test_no_known_tag_is_left(pieces):
    assert "<" not in plain("".join(pieces))


@examples(200)
@given(st.lists(st.one_of(any_texts(), st.sampled_from([*UNCHANGED, *READ, *SLOW]))).map("".join))
def test_nothing_raises_and_no_text_grows(text):
    assert len(plain(text)) <= len(text)


@pytest.mark.parametrize("piece", SLOW)
@pytest.mark.parametrize("ending", ["", ">", "<b>x</b>", "-->"])
def test_a_long_malformed_text_takes_no_time(piece, ending):
    text = piece * (400_000 // len(piece)) + ending
    begun = time.process_time()
    plain(text)
    assert time.process_time() - begun < 3  # html.parser takes 10 to 40 seconds for some


def log() -> list[dict[str, object]]:
    """Every item, and an id that looks like markup."""
    return [
        {**row, "item_id": row["item_id"].replace("i2", "i&amp;<b>2</b>")}
        for row in small_log(items=4, each=4)
    ]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "frames"])
def test_prepared_data_hold_the_text(tmp_path, ending):
    rows = log()
    reviews = [{**row, "text": "<p>Good &amp; cheap</p>"} for row in rows] + [
        {**rows[0], "text": "<br>"}
    ]
    users = [{"user_id": f"u{n}", "trade": "R&amp;D" if n else "artist"} for n in range(6)]
    if ending == "frames":
        frames = (pa.Table.from_pylist(each) for each in (rows, ITEMS, users, reviews))
        dataset = Dataset.from_frames(*frames, config=FEW)
    else:
        named = {"interactions": rows, "items": ITEMS, "users": users, "reviews": reviews}
        for stem, each in named.items():
            write_rows(tmp_path / "in", stem, each, ending)
        dataset = Dataset.load(tmp_path / "in", config=FEW)
    texts = dataset.texts
    order = [dataset.items.number(item["item_id"]) for item in ITEMS]
    assert [texts.item_titles[number] for number in order] == TITLES
    assert [texts.item_texts[number] for number in order] == TEXTS
    assert [texts.item_features["kind"][number] for number in order] == KINDS
    # What is asked for by its value stays as it came.
    assert texts.item_attributes["kind"][order[1]] == ["<i>D&eacute;cor</i>"]
    assert texts.user_features["trade"][1] == "R&amp;D"
    assert {text for *_, found in texts.reviews() for text in found} == {"Good & cheap"}
    assert dataset.report()["refused"]["reviews"]["no text"] == 1


def test_a_text_of_several_is_read_as_a_whole(tmp_path):
    rows = [{"item_id": "i0", "text": ["<b>One", "two</b>"], "tags": ["<i>a</i>", "<br>", "b"]}]
    write_rows(tmp_path, "interactions", log())
    write_rows(tmp_path, "items", rows)
    texts = Dataset.load(tmp_path, config=FEW).texts
    assert "One, two" in texts.item_texts
    assert "a, b" in texts.item_features["tags"]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_further_items_read_alike(tmp_path, ending):
    path = write_rows(tmp_path, "items", ITEMS, ending)
    rows, refused, _unread = read_further_items(path, FEW, ["kind"], ["kind"])
    assert refused == {}
    order = [rows.ids.index(str(item["item_id"])) for item in ITEMS]
    assert [rows.titles[at] for at in order] == TITLES
    assert [rows.texts[at] for at in order] == TEXTS
    assert [rows.feature("kind")[at] for at in order] == KINDS


def test_another_reading_is_another_recipe(tmp_path, monkeypatch):
    write_rows(tmp_path, "interactions", log())

    def made_of():
        return recipe(tmp_path, split=None, protocol="paper", config=FEW, seed=0)

    before = made_of()
    monkeypatch.setattr(markup, "VERSION", markup.VERSION + 1)
    assert made_of() != before
