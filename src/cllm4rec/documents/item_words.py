"""Words of an item's title behind its token, wherever the token stands in a history."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec.config import CorpusConfig
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.rows import TokenRows, offsets_of, places_from
from cllm4rec.tokens.space import TokenSpace
from cllm4rec.tokens.tokenizer import WordTokenizer, beginning


@dataclass(frozen=True, slots=True, eq=False)
class ItemWords:
    """``<item>`` becomes ``<item> words of its title`` in documents.

    A document has a budget of words: titles are whole or left out, the newest items' are kept, and
    no item is left out for words.

    Attributes:
        tokens: words of all items, concatenated.
        offsets: ``[items + 1]``; item ``j`` has ``tokens[offsets[j]:offsets[j + 1]]``.
        most: words of a document altogether.
    """

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]
    most: int

    @classmethod
    def of(
        cls, texts: Sequence[str | None], tokenizer: WordTokenizer, config: CorpusConfig
    ) -> "ItemWords":
        """The beginnings of the items' texts as word tokens.

        Args:
            texts: one per item number; an item without one has no words.
            tokenizer: of the words.
            config: ``title_words`` of an item, ``history_words`` of a document.
        """
        tidied = [beginning(text or "", config.title_words) for text in texts]
        encoded = tokenizer.encode([" " + text if text else "" for text in tidied])
        words = [np.array(tokens[: config.title_words], np.int32) for tokens in encoded]
        counts = np.fromiter(map(len, words), np.int64, len(words))
        flat = np.concatenate(words) if words else np.empty(0, np.int32)
        return cls(flat, offsets_of(counts), config.history_words)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Words of each item."""
        counts: NDArray[np.int64] = np.diff(self.offsets)
        return counts

    def most_of(self, histories: Interactions) -> NDArray[np.int64]:
        """Most words that a document of each history can have."""
        summed = offsets_of(self.counts[histories.items])
        each = summed[histories.offsets[1:]] - summed[histories.offsets[:-1]]
        most: NDArray[np.int64] = np.minimum(each, self.most)
        return most

    def beside(self, rows: TokenRows, space: TokenSpace) -> TokenRows:
        """The same documents with words behind their items."""
        at = np.flatnonzero(space.is_item(rows.tokens))
        items = space.item_number(rows.tokens[at])
        counts = np.zeros(len(rows.tokens), np.int64)
        counts[at] = self.counts[items]
        summed = offsets_of(counts)
        to_the_end = np.repeat(summed[rows.offsets[1:]], rows.lengths) - summed[:-1]
        counts[to_the_end > self.most] = 0
        starts = offsets_of(1 + counts)
        tokens = np.empty(starts[-1], np.int32)
        tokens[starts[:-1]] = rows.tokens
        kept = counts[at]
        tokens[places_from(starts[at] + 1, kept)] = self.tokens[
            places_from(self.offsets[items], kept)
        ]
        offsets = starts[rows.offsets]
        main_starts = starts[rows.offsets[:-1] + rows.main_starts] - offsets[:-1]
        return TokenRows(tokens, offsets, main_starts)

    def within(self, document: Document, space: TokenSpace) -> Document:
        """One document with words behind its items."""
        whole = np.concatenate([document.prompt, document.main])
        ends = np.array([0, len(whole)])
        rows = self.beside(TokenRows(whole, ends, np.array([len(document.prompt)])), space)
        main = int(rows.main_starts[0])
        return Document(rows.tokens[:main], rows.tokens[main:])
