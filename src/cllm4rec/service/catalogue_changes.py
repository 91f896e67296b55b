"""Items added to the served run, or removed: on disk first, then in the model that answers."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.errors import CLLM4RecError, InputError, RunError, is_forbidden, no_space_left
from cllm4rec.run import RunDir
from cllm4rec.run.added import put_back_at_failure
from cllm4rec.service.schemas import AddItemsRequest, RemoveItemsRequest
from cllm4rec.service.served import ModelHolder


class ItemsUnavailable(Exception):
    """Nothing can be added or removed for now; the message says why."""


class CatalogueChanges:
    """Changes, one at a time; requests go on being answered by the model there is.

    Where the model cannot be loaded with a change, what was added stays as it was: the run is
    locked until one or the other is sure.

    Args:
        holder: of the run that is served.
    """

    def __init__(self, holder: ModelHolder) -> None:
        self._holder = holder

    def add(self, request: AddItemsRequest) -> dict[str, Any]:
        """Add items and load the model with them.

        Raises:
            InputError: an item cannot be added.
            RunError: another process is at work in the run, it cannot be written, or the model
                cannot be loaded.
            ItemsUnavailable: the disk is full.
            IntegrityError: a file of the run has changed.
        """
        from cllm4rec.stages.add_items import add_items

        run = RunDir(self._holder.run)
        with _written(run), tempfile.TemporaryDirectory(prefix="cllm4rec-items-") as folder:
            source = Path(folder) / "request.jsonl"
            lines = (json.dumps(item.row()) for item in request.items)
            source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            with _as_asked(source), progress.kept_notes() as notes:
                report = add_items(run, source, skip=request.skip, measure=False, columns={})
            return {**self._loaded(report), "notes": notes}

    def remove(self, request: RemoveItemsRequest) -> dict[str, Any]:
        """Remove items that were added, and load the model without them.

        Raises:
            UnknownId: an item that is not in the run.
            InputError: an item that the run was trained with.
            RunError: as of `add`.
            ItemsUnavailable: likewise.
        """
        from cllm4rec.stages.add_items import remove_items

        run = RunDir(self._holder.run)
        with _written(run):
            return self._loaded(remove_items(run, request.items))

    def _loaded(self, report: dict[str, Any]) -> dict[str, Any]:
        version = self._holder.current.version
        try:
            served = self._holder.load()
        except CLLM4RecError as error:
            raise RunError(f"{error}; nothing was changed, model {version} goes on") from None
        progress.note(f"serving model {served.version}, {report['items']:,} items")
        return {"model": {"version": served.version}, **report}


@contextmanager
def _written(run: RunDir) -> Iterator[None]:
    """The run is locked, and as it was where the block fails.

    What the disk refuses becomes an answer, and no fault of ours.
    """
    try:
        with run.lock(), put_back_at_failure(run.path):
            yield
    except CLLM4RecError:
        raise
    except Exception as error:
        if no_space_left(error):
            raise ItemsUnavailable(
                f"no space left on {run.path}; nothing was changed; free some"
            ) from error
        if is_forbidden(error):
            raise RunError(
                f"{run.path} cannot be written here; change its items where it can, then reload"
            ) from error
        raise


@contextmanager
def _as_asked(source: Path) -> Iterator[None]:
    """Errors say the request instead of the file, and its field instead of an option."""
    from cllm4rec.stages.refusals import SKIPPED_BY

    try:
        yield
    except InputError as error:
        said = str(error).replace(str(source), "the request")
        raise type(error)(said.replace(SKIPPED_BY, '("skip": true)')) from None
