import numpy as np
import pytest
from tokenizers import Tokenizer

from cllm4rec.documents.prompts import Prompt, Prompts, entity
from support.tiny_backbone import tiny_tokenizer, write_tiny_tokenizer

USER, ITEM, OTHER = 1000, 2000, 2001
COLUMN = tiny_tokenizer().encode([" year"])[0]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Decode a prompt: words as text, users and items by name."""
    folder = write_tiny_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def read(tokens):
        text, words = "", []
        for token in [*tokens.tolist(), None]:
            if token is not None and token < 300:
                words.append(token)
                continue
            text += tokenizer.decode(words, skip_special_tokens=False)
            words = []
            text += {USER: "<user>", ITEM: "<item>", OTHER: "<other>", None: ""}[token]
        return text

    return read


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("history", "<user> has interacted with"),
        (
            "recommendation",
            "<user> has interacted with<item><other>,<user> will interact with",
        ),
        ("review", "<user> writes the following review for<item>:"),
        ("item_title", "<item> has the title:"),
        ("item_description", "<item> has the following description:"),
        ("item_feature", "<item> has the following year:"),
        ("user_feature", "<user> has the following year:"),
        ("described", "<item><other> describes"),
    ],
)
def test_every_prompt_reads_as_the_method_says(read, name, expected):
    prompt = getattr(Prompts.build(tiny_tokenizer()), name)
    filled = prompt.fill(
        user=entity(USER),
        item=entity(ITEM),
        items=np.array([ITEM, OTHER], np.int32),
        column=np.array(COLUMN, np.int32),
        words=np.array([ITEM, OTHER], np.int32),
    )
    assert filled.dtype == np.int32
    assert read(filled) == expected


def test_an_empty_slot_leaves_the_words(read):
    prompt = Prompts.build(tiny_tokenizer()).recommendation
    filled = prompt.fill(user=entity(USER), items=np.empty(0, np.int32))
    assert read(filled) == "<user> has interacted with,<user> will interact with"


def test_a_missing_slot_is_an_error():
    with pytest.raises(KeyError, match="item"):
        Prompts.build(tiny_tokenizer()).review.fill(user=entity(USER))


def test_a_template_of_one_slot_has_no_words():
    assert Prompt.encode("{user} {item}", tiny_tokenizer()).parts == ("user", "item")
