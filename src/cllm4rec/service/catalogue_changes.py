"""Items added to the served run, or removed: on disk first, then in the model that answers."""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.errors import CLLM4RecError, InputError, RunError
from cllm4rec.recommender.added import AddedItems
from cllm4rec.run import RunDir
from cllm4rec.service.schemas import AddItemsRequest, RemoveItemsRequest
from cllm4rec.service.served import ModelHolder


class CatalogueChanges:
    """Changes one after the other; requests go on being answered by the model there is.

    Args:
        holder: of the run that is served.
    """

    def __init__(self, holder: ModelHolder) -> None:
        self._holder = holder
        self._changing = threading.Lock()

    def add(self, request: AddItemsRequest) -> dict[str, Any]:
        """Add items and load the model with them; on any failure the old one goes on, without.

        Raises:
            InputError: an item cannot be added.
            RunError: another process is at work in the run, or the model cannot be loaded.
        """
        from cllm4rec.stages.add_items import add_items, remove_items

        run = RunDir(self._holder.run)
        with self._changing, tempfile.TemporaryDirectory(prefix="cllm4rec-items-") as folder:
            source = Path(folder) / "request.jsonl"
            lines = (json.dumps(item.row()) for item in request.items)
            source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            before = _added(run)
            with _named("the request", source):
                report = add_items(run, source, skip=request.skip, measure=False, columns={})
            try:
                return self._loaded(report)
            except RunError:
                if report["added"]:
                    remove_items(run, sorted(_added(run) - before))
                raise

    def remove(self, request: RemoveItemsRequest) -> dict[str, Any]:
        """Remove items that were added, and load the model without them.

        Raises:
            UnknownId: an item that is not in the run.
            InputError: an item that the run was trained with.
            RunError: another process is at work in the run, or the model cannot be loaded.
        """
        from cllm4rec.stages.add_items import remove_items

        with self._changing:
            return self._loaded(remove_items(RunDir(self._holder.run), request.items))

    def _loaded(self, report: dict[str, Any]) -> dict[str, Any]:
        before = self._holder.current.version
        try:
            served = self._holder.load()
        except CLLM4RecError as error:
            raise RunError(f"{error}; model {before} goes on") from None
        progress.note(f"serving model {served.version}, {report['items']:,} items")
        return {"model": {"version": served.version}, **report}


@contextmanager
def _named(name: str, source: Path) -> Iterator[None]:
    """Errors say ``name`` instead of the file."""
    try:
        yield
    except InputError as error:
        raise type(error)(str(error).replace(str(source), name)) from None


def _added(run: RunDir) -> set[str]:
    found = AddedItems.of(run.path)
    return set() if found is None else set(found.rows.ids)
