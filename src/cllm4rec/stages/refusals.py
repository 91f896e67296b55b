"""Which items of a file cannot be added, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cllm4rec import progress
from cllm4rec.errors import InputError

MOST_BYTES = 100_000
"""Longest text of an item, in UTF-8."""
NAMED = 3
"""Ids that a refusal names for each reason."""

SKIPPED_BY = "(--skip; in Python skip=True)"
"""How a shell and Python ask for it; over HTTP it is a field."""
KNOWN, ADDED = "an item_id that the run was trained with", "an item_id that was added before"
NO_TEXT, TOO_LONG = "no title or text", f"a text of more than {MOST_BYTES:,} bytes"
NO_WORD = "no word that two items of the run have"
CUT_OTHERWISE = "no word that the run has, whose words an earlier version cut (train it again)"


@dataclass(slots=True)
class Refusals:
    """Ids of the items that cannot be added, by reason."""

    by_reason: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, ids: Sequence[str]) -> None:
        """Some more ids."""
        if ids:
            self.by_reason.setdefault(reason, []).extend(ids)

    def refuse(self, source: Path) -> None:
        """Refuse the file if any of its items is refused.

        Raises:
            InputError: says of which items, and why.
        """
        if not self.by_reason:
            return
        said = "; ".join(f"{reason}: {named(ids)}" for reason, ids in self.by_reason.items())
        raise InputError(
            f"{source}: nothing was added, for some rows cannot be: {said}; mend them, or ask to "
            f"skip them {SKIPPED_BY}"
        )

    def note(self, rows: int) -> None:
        """Say how many rows of a file are left out, and why; never with an id.

        Args:
            rows: of the file.
        """
        if counts := self.counts():
            said = "; ".join(f"{reason}: {count:,}" for reason, count in counts.items())
            progress.note(f"{sum(counts.values()):,} of {rows:,} rows are left out: {said}")

    def counts(self) -> dict[str, int]:
        """How many, by reason."""
        return {reason: len(ids) for reason, ids in self.by_reason.items()}


def named(ids: Sequence[str]) -> str:
    """Some ids as a message shows them, and how many more there are."""
    if not any(ids):
        return f"{len(ids):,} row" + "s" * (len(ids) > 1)
    shown = [repr(each) if len(each) <= 40 else repr(each[:39] + "…") for each in ids[:NAMED]]
    more = len(ids) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
