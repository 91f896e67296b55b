"""A folder that another one may replace while it is in use."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cllm4rec.errors import IntegrityError

Identity = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder as it was opened: what is read of it later must still be of the same one.

    Attributes:
        path: of the folder.
        marker: one of its files, which is never changed.
        identity: tells it from another folder that takes its place.
    """

    path: Path
    marker: str
    identity: Identity

    @classmethod
    def of(cls, path: Path, marker: str) -> Self:
        """The folder that is there now."""
        return cls(path, marker, _identity(path, marker))

    @contextmanager
    def reading(self) -> Iterator[Path]:
        """Yield the folder's path to read from.

        Raises:
            IntegrityError: at the end of the block, another folder is there, or none; what was read
                may be of that one.
        """
        try:
            yield self.path
        except Exception:
            self._refuse_another()
            raise
        self._refuse_another()

    def _refuse_another(self) -> None:
        if _identity(self.path, self.marker) != self.identity:
            raise IntegrityError(
                f"{self.path} was replaced or removed since it was opened; load it again (a "
                f"running service: POST /v1/reload)"
            ) from None


def _identity(path: Path, marker: str) -> Identity:
    """Number of the folder, which a later one may be given again; time and size of a file of it."""
    try:
        file = (path / marker).stat()
        return path.stat().st_ino, file.st_mtime_ns, file.st_size
    except OSError:
        return None
