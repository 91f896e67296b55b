import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from cllm4rec.errors import InputError
from cllm4rec.tokens.tokenizer import WordTokenizer
from support.strategies import any_texts
from support.tiny_backbone import (
    NUM_WORDS,
    tiny_tokenizer,
    write_tiny_gpt2,
    write_tiny_llama,
    write_tiny_tokenizer,
)


def decoded(folder, tokens):
    return Tokenizer.from_file(str(folder / "tokenizer.json")).decode(
        tokens, skip_special_tokens=False
    )


def with_added_token(folder, content, number, *, special):
    path = write_tiny_tokenizer(folder) / "tokenizer.json"
    description = json.loads(path.read_text())
    description["added_tokens"].append({
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": special,
    })
    path.write_text(json.dumps(description))
    return folder


@given(st.lists(any_texts(), max_size=4))
def test_no_text_of_any_kind_names_a_user_or_an_item_or_a_special_token(texts):
    for tokens in tiny_tokenizer().encode(texts):
        assert all(0 < token < NUM_WORDS for token in tokens)  # 0 is <|endoftext|>


@given(any_texts())
def test_a_text_comes_back_from_its_tokens(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp() / "tiny"
    if not folder.exists():
        write_tiny_tokenizer(folder)
    assert decoded(folder, tiny_tokenizer().encode([text])[0]) == text


@given(st.lists(any_texts(), max_size=4))
def test_texts_encoded_together_are_encoded_as_one_by_one(texts):
    tokenizer = tiny_tokenizer()
    assert tokenizer.encode(texts) == [tokenizer.encode([text])[0] for text in texts]


@pytest.mark.parametrize("special", [True, False])
def test_an_added_token_without_an_embedding_is_plain_text(tmp_path, special):
    folder = with_added_token(tmp_path, "<item_5>", NUM_WORDS + 7, special=special)
    [forged] = WordTokenizer.from_folder(folder, NUM_WORDS).encode(["a <item_5>"])
    assert forged == tiny_tokenizer().encode(["a <item_5>"])[0]


def test_words_beyond_the_backbone_are_refused(tmp_path):
    write_tiny_tokenizer(tmp_path)
    with pytest.raises(InputError, match="has a token 299, the backbone 299 word embeddings"):
        WordTokenizer.from_folder(tmp_path, NUM_WORDS - 1)


def test_the_backbones_truncation_and_padding_are_off(tmp_path):
    path = write_tiny_tokenizer(tmp_path) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(path))
    texts = ["x", "a text that is longer than nine tokens"]
    assert WordTokenizer.from_folder(tmp_path, NUM_WORDS).encode(texts) == (
        tiny_tokenizer().encode(texts)
    )


def test_a_tokenizer_that_puts_a_space_first_itself_does_not_get_two(tmp_path):
    words = {"<unk>": 0, "▁of": 1, "▁with": 2, "▁has": 3, "▁": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    # As Llama 2 does it: the normalizer adds its space even to a text that has one.
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Prepend("▁"),
        normalizers.Replace(" ", "▁"),
    ])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encode = WordTokenizer.from_folder(tmp_path, 5).encode
    assert encode([" has", "has", " has of"]) == [[3], [3], [3, 1]]


def test_a_byte_level_tokenizer_sees_the_space_it_is_given():
    with_space, without = tiny_tokenizer().encode([" with", "with"])
    assert with_space != without


def test_the_fingerprint_is_the_files_sha256(tmp_path):
    path = write_tiny_tokenizer(tmp_path) / "tokenizer.json"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert WordTokenizer.from_folder(tmp_path, NUM_WORDS).fingerprint == expected


def test_no_tokenizer_in_the_folder(tmp_path):
    with pytest.raises(InputError, match=r"no .*tokenizer\.json; backbone\.name needs"):
        WordTokenizer.from_folder(tmp_path, NUM_WORDS)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"added_tokens": []}', "\ufeffnot json"])
def test_a_broken_file_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"tokenizer\.json is not a tokenizer \(.+\)") as caught:
        WordTokenizer.from_folder(tmp_path, NUM_WORDS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [write_tiny_llama, write_tiny_gpt2])
def test_toy_backbones_load_with_transformers_and_fit_their_tokenizer(tmp_path, write):
    from transformers import AutoModelForCausalLM

    folder = write(tmp_path / "model")
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert model.get_input_embeddings().weight.shape == (NUM_WORDS, 32)
    assert WordTokenizer.from_folder(folder, NUM_WORDS).encode(["a toy"])
