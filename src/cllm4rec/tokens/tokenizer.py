"""Text to word tokens, with the backbone's unmodified tokenizer.

Text may contain anything, such as ``<|endoftext|>`` or ``<item_5>``; it is always read as plain
characters. User and item tokens are integers inserted by the corpora; no text can spell them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

from cllm4rec.errors import InputError
from cllm4rec.run import sha256_file

_WORD_CHARACTERS = 32
"""Most characters of a word token, on average."""


@dataclass(frozen=True, slots=True, eq=False)
class WordTokenizer:
    """The backbone's tokenizer, without special tokens."""

    num_words: int
    """Rows of the backbone's word embeddings; token ids are below this."""
    fingerprint: str
    """sha256 of ``tokenizer.json``."""
    _tokenizer: Tokenizer = field(repr=False)
    _adds_space: bool = field(repr=False)

    @classmethod
    def from_folder(cls, folder: Path, num_words: int) -> "WordTokenizer":
        """Read ``tokenizer.json`` of a backbone's folder.

        Args:
            folder: the backbone's folder.
            num_words: rows of the backbone's word embeddings.

        Raises:
            InputError: no such file, not a tokenizer, or more words than the backbone has.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise InputError(f"no {path}; backbone.name needs a folder with a fast tokenizer")
        try:
            description = json.loads(path.read_text(encoding="utf-8"))
            # Never produce added tokens that have no embedding, such as a late [PAD].
            description["added_tokens"] = [
                token for token in description["added_tokens"] if token["id"] < num_words
            ]
            tokenizer = Tokenizer.from_str(json.dumps(description))
        except Exception as error:  # the library raises bare exceptions
            reason = str(error).splitlines()[0]
            raise InputError(f"{path} is not a tokenizer ({reason}); get the file anew") from None
        largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
        if largest >= num_words:
            raise InputError(
                f"{path} has a token {largest}, the backbone {num_words} word embeddings; "
                f"give a folder whose tokenizer and weights belong together"
            )
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(num_words, sha256_file(path), tokenizer, _adds_space(tokenizer))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Word tokens of each text, without special tokens.

        A text after another word starts with a space. SentencePiece tokenizers add that space
        themselves and get the text without it.

        Args:
            texts: any text at all.

        Returns:
            One list of tokens in ``[0, num_words)`` per text.
        """
        if self._adds_space:
            texts = [text.removeprefix(" ") for text in texts]
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        tokens = [encoding.ids for encoding in found]
        assert all(max(ids, default=0) < self.num_words for ids in tokens)
        return tokens


def beginning(text: str, max_words: int) -> str:
    """The text's beginning with single spaces, long enough for ``max_words`` tokens.

    A word has at least one token. The cap in characters guards against a megabyte without spaces.
    """
    words = text.split(maxsplit=max_words)[:max_words]
    return " ".join(words)[: max_words * _WORD_CHARACTERS]


def _adds_space(tokenizer: Tokenizer) -> bool:
    """Whether two words encoded separately give the tokens of both with a space between."""
    separate = [*_tokens(tokenizer, "of"), *_tokens(tokenizer, "with")]
    return separate == _tokens(tokenizer, "of with")


def _tokens(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)
