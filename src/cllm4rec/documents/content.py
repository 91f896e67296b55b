"""Titles, descriptions, features and reviews as documents; tokenised once, then memory-mapped."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.config import CorpusConfig
from cllm4rec.data.texts import Texts
from cllm4rec.documents.document import Document
from cllm4rec.documents.document_files import DocumentWriter, open_arrays
from cllm4rec.documents.prompts import Prompt, Prompts, entity
from cllm4rec.run import atomic_folder
from cllm4rec.tokens.space import TokenSpace
from cllm4rec.tokens.tokenizer import WordTokenizer, beginning

FEATURE_WORDS = 16
"""Longest name and longest value of a feature column, in word tokens."""
_BATCH_TEXTS = 4096


class ContentCorpus:
    """One document per text: a prompt with its user and item tokens, then its words (paper 3.2).

    Args:
        tokens: of all documents, concatenated.
        offsets: start of each document, ``[documents + 1]``.
        prompt_lengths: tokens of each prompt, ``[documents]``.
        vocabulary: see `vocabulary`.
    """

    def __init__(
        self,
        tokens: NDArray[np.int32],
        offsets: NDArray[np.int64],
        prompt_lengths: NDArray[np.int32],
        vocabulary: NDArray[np.int32],
    ) -> None:
        # Plain arrays: slicing an np.memmap costs ten times as much.
        self._tokens = np.asarray(tokens)
        self._offsets = np.asarray(offsets)
        self._prompt_lengths = np.asarray(prompt_lengths)
        self._vocabulary = np.asarray(vocabulary)

    @classmethod
    def open(cls, folder: Path) -> "ContentCorpus":
        """Open, memory-mapped, a folder written by `build_content_corpus`."""
        return cls(*open_arrays(folder))

    def __len__(self) -> int:
        return len(self._prompt_lengths)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        return np.diff(self._offsets)

    def word_counts(self) -> NDArray[np.int64]:
        """Words of each main text."""
        return self.lengths() - self._prompt_lengths

    def items(self, space: TokenSpace) -> NDArray[np.int64]:
        """Number of the item in each document's prompt; -1 where there is none."""
        found = np.full(len(self), -1)
        places = np.flatnonzero(space.is_item(self._tokens))
        documents = np.searchsorted(self._offsets, places, side="right") - 1
        found[documents] = space.item_number(self._tokens[places])
        return found

    def document(self, index: int, epoch: int = 0) -> Document:
        """One document; words keep their order, so it is the same in every epoch."""
        tokens = self._tokens[self._offsets[index] : self._offsets[index + 1]]
        start = self._prompt_lengths[index]
        return Document(tokens[:start], tokens[start:])

    def vocabulary(self) -> NDArray[np.int32]:
        """Distinct word tokens of the main texts, ascending."""
        return self._vocabulary


def build_content_corpus(
    texts: Texts,
    space: TokenSpace,
    tokenizer: WordTokenizer,
    prompts: Prompts,
    config: CorpusConfig,
    folder: Path,
) -> ContentCorpus:
    """Tokenise every text once.

    Reviews are streamed: memory holds a few thousand texts at a time and the documents' lengths,
    besides ``texts`` itself.

    Args:
        texts: of the users and items in ``space``.
        space: layout of the token ids.
        tokenizer: of the words.
        prompts: encoded templates.
        config: caps of the main texts. Null and blank texts give no document.
        folder: created or replaced at success; unchanged on any exception.
    """
    groups = _groups(texts, space, tokenizer, prompts, config)
    with (
        atomic_folder(folder) as target,
        DocumentWriter(target, space.num_words) as writer,
        progress.task("Tokenising texts", total=None, unit="text") as task,
    ):
        for group in groups:
            assert all(len(tokens) == len(group.texts) for tokens in group.entities.values())
            for start in range(0, len(group.texts), _BATCH_TEXTS):
                rows = range(start, min(start + _BATCH_TEXTS, len(group.texts)))
                _write(writer, group, rows, tokenizer)
                task.advance(len(rows))
        writer.finish()
    return ContentCorpus.open(folder)


class _Group(NamedTuple):
    """Texts of one kind."""

    prompt: Prompt
    entities: Mapping[str, NDArray[np.int32]]
    """Slot name → the token of each text."""
    words: Mapping[str, NDArray[np.int32]]
    """Slot name → word tokens, the same for all texts."""
    texts: Sequence[str | None]
    max_words: int


def _groups(
    texts: Texts,
    space: TokenSpace,
    tokenizer: WordTokenizer,
    prompts: Prompts,
    config: CorpusConfig,
) -> Iterator[_Group]:
    items = {"item": space.item(np.arange(space.num_items, dtype=np.int32))}
    users = {"user": space.user(np.arange(space.num_users, dtype=np.int32))}
    yield _Group(prompts.item_title, items, {}, texts.item_titles, config.max_words)
    yield _Group(prompts.item_description, items, {}, texts.item_texts, config.max_words)
    for prompt, entities, features in (
        (prompts.item_feature, items, texts.item_features),
        (prompts.user_feature, users, texts.user_features),
    ):
        for column, values in features.items():
            # Column names are user text too: capped like values.
            [name] = tokenizer.encode([" " + beginning(column.replace("_", " "), FEATURE_WORDS)])
            words = {"column": np.array(name[:FEATURE_WORDS], np.int32)}
            yield _Group(prompt, entities, words, values, FEATURE_WORDS)
    for review_users, review_items, reviews in texts.reviews():
        both = {"user": space.user(review_users), "item": space.item(review_items)}
        yield _Group(prompts.review, both, {}, reviews, config.max_words)


def _write(writer: DocumentWriter, group: _Group, rows: range, tokenizer: WordTokenizer) -> None:
    tidied = [beginning(group.texts[row] or "", group.max_words) for row in rows]
    written = [row for row, text in zip(rows, tidied, strict=True) if text]
    mains = tokenizer.encode([" " + text for text in tidied if text])
    for row, main in zip(written, mains, strict=True):
        entities = {slot: entity(int(tokens[row])) for slot, tokens in group.entities.items()}
        prompt = group.prompt.fill(**entities, **group.words)
        writer.add(prompt, np.array(main[: group.max_words], np.int32))
