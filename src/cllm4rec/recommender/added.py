"""Items that were added to a trained model by their texts: scored beside the others.

The scores of the others are computed as if there were no added items, and copied; nothing that an
added item's scores are made of depends on which others were added with it. So every score is the
same to the bit, however many are added or removed.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix, vstack

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.data.item_rows import ItemRows
from cllm4rec.errors import IntegrityError
from cllm4rec.linear.sparse_arrays import arrays_of, matrix_of
from cllm4rec.recommender.intact import LOADS, model_sha256
from cllm4rec.recommender.placing import Placing, Rule
from cllm4rec.run.added import MEND, Current

ROWS = "rows.safetensors"
AGAIN = "`cllm4rec add-items` adds them again"


@dataclass(frozen=True, slots=True, eq=False)
class AddedItems:
    """Added items and where their texts place them.

    Attributes:
        rows: what was said of them, by id.
        neighbours: each as a mean of the trained items, ``float32 [added, items]``.
        vectors: of their texts, ``float32 [added, d]``.
        same: whether a trained item has just this text: its scores are that item's, ``bool``.
    """

    rows: ItemRows
    neighbours: csr_matrix
    vectors: NDArray[np.float32]
    same: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self, places: NDArray[np.int64]) -> "AddedItems":
        """Some of them, in ascending order."""
        rows = self.rows.taken(places.tolist())
        return AddedItems(rows, self.neighbours[places], self.vectors[places], self.same[places])

    def merged(self, other: "AddedItems") -> "AddedItems":
        """Both, by id."""
        rows, order = self.rows.merged(other.rows)
        return AddedItems(
            rows,
            vstack([self.neighbours, other.neighbours], format="csr")[order],
            np.concatenate([self.vectors, other.vectors])[order],
            np.concatenate([self.same, other.same])[order],
        )

    def write(self, folder: Path) -> None:
        """Write into a folder that is being made."""
        self.rows.write(folder)
        vectors = np.ascontiguousarray(self.vectors)
        size = np.array(self.neighbours.shape[1])
        numbers = {"vectors": vectors, "same": self.same, "items": size}
        save_file(numbers | arrays_of(self.neighbours), folder / ROWS)

    @classmethod
    def of(cls, folder: Path) -> "AddedItems | None":
        """Those of a run, or saved folder; None where none are added.

        Items that were added to an earlier training of the run are left out, with a note.

        Raises:
            IntegrityError: a file has changed.
        """
        for left in reversed(range(LOADS)):
            current = Current.read(folder)
            if current is None:
                return None
            if current.model != model_sha256(folder):
                progress.note(
                    f"{folder}: the items that were added belong to an earlier training; {AGAIN}, "
                    f"`cllm4rec remove-items --all` forgets them"
                )
                return None
            try:
                current.verify()
                return cls._read(current.path)
            except (IntegrityError, OSError):
                if not left or Current.read(folder) == current:
                    raise
        raise IntegrityError(f"{folder}: items are being added all the time; {MEND}")

    @classmethod
    def note_left(cls, folder: Path, to: Path) -> None:
        """Say how many items of a run another one, trained on its data, does not have.

        Raises:
            IntegrityError: a file has changed.
        """
        added = cls.of(folder)
        if added is not None:
            many = f"{len(added):,} items that were" if len(added) > 1 else "1 item that was"
            progress.note(f"{many} added to {folder} without training: not in {to}; {AGAIN}")

    @classmethod
    def _read(cls, folder: Path) -> "AddedItems":
        arrays = load_file(folder / ROWS)
        rows = ItemRows.read(folder)
        shape = (len(rows), int(arrays["items"]))
        neighbours = matrix_of(arrays, shape)
        return cls(rows, neighbours, arrays["vectors"], arrays["same"])


def open_catalogue(folder: Path) -> tuple[Dataset, AddedItems | None]:
    """The data of a run, or saved folder, with the items that were added, and these.

    Raises:
        IntegrityError: a file is missing or has changed.
    """
    dataset, added = Dataset.open(folder / "data"), AddedItems.of(folder)
    return (dataset if added is None else dataset.with_items(added.rows)), added


@dataclass(frozen=True, eq=False)
class AddedScores:
    """Scores of added items from those of the others.

    Attributes:
        added: the items.
        texts: vectors of the trained items' texts, ``float32 [items, d]``.
        rule: how they are scored.
    """

    added: AddedItems
    texts: NDArray[np.float32]
    rule: Rule

    @classmethod
    def of(cls, added: AddedItems, placing: Placing) -> "AddedScores":
        """By the rule that the run learned."""
        return cls(added, placing.texts.items, placing.rule)

    @property
    def num_known(self) -> int:
        """Items that the model was trained with; the added ones stand behind them."""
        return len(self.texts)

    def of_logits(self) -> "AddedScores":
        """The same for the language model's logits alone."""
        offset = self.rule.language_offset
        return replace(self, rule=replace(self.rule, text_weight=0.0, scale=1.0, offset=offset))

    def beside(self, scores: NDArray[np.float32], history: Interactions) -> NDArray[np.float32]:
        """Scores of all items ``[rows, items + added]``.

        Args:
            scores: of the trained items, ``[rows, items]``.
            history: one row per row of scores; may hold added items.
        """
        rule, known = self.rule, self.num_known
        found = np.empty((len(scores), known + len(self.added)), np.float32)
        found[:, :known] = scores
        means = np.asarray((self.added.neighbours @ scores.T).T)
        placed = means
        if rule.text_weight:
            counts = np.maximum(history.counts(), 1).astype(np.float32)
            profiles = (history.matrix() @ self._vectors) / counts[:, None]
            # Not by BLAS, whose rounding depends on how many items there are.
            own = np.einsum("rd,id->ri", profiles, self.added.vectors)
            placed = means + np.float32(rule.text_weight) * own
        placed = np.float32(rule.scale) * placed + np.float32(rule.offset)
        found[:, known:] = np.where(self.added.same, means, placed)
        return found

    def rows_of(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
        """The added items as means of the trained items' rows, ``[added, size]``."""
        return np.asarray(self.added.neighbours @ table, np.float32)

    def biases_of(self, biases: NDArray[np.float32]) -> NDArray[np.float32]:
        """Biases of the item head that go with `rows_of`."""
        offsets = np.where(self.added.same, 0, np.float32(self.rule.language_offset))
        return np.asarray(self.added.neighbours @ biases + offsets, np.float32)

    def without(self, history: Interactions) -> tuple[Interactions, NDArray[np.bool_]]:
        """The same histories without added items, and which of them had some."""
        kept = history.items < self.num_known
        if kept.all():
            known = history.items
            return Interactions(history.offsets, known, self.num_known), np.zeros(
                history.num_users, bool
            )
        rest = history.where(kept)
        return (
            Interactions(rest.offsets, rest.items, self.num_known),
            rest.counts() < history.counts(),
        )

    def spread(self, matrix: csr_matrix) -> csr_matrix:
        """Histories ``[rows, items + added]`` as weights of trained items, ``[rows, items]``."""
        known = self.num_known
        return (matrix[:, :known] + matrix[:, known:] @ self.added.neighbours).tocsr()

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        return np.concatenate([self.texts, self.added.vectors])
