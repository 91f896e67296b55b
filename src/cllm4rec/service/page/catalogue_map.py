"""The map of the catalogue: laid out once per model in the background, kept beside the model."""

import gzip
import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.run import atomic_write
from cllm4rec.seeds import derived_seed
from cllm4rec.service.page.colouring import binned, coloured
from cllm4rec.service.page.layout import FORMAT, layout, unlearned
from cllm4rec.service.served import Served

MOST_DRAWN = 20_000
"""Items that are sent to the browser, the best known ones: about a megabyte."""
UNITS = 10_000
"""Whole numbers from 0 to here stand for places from 0 to 1."""
FAILED = "the service could not lay it out; its log says more"


@dataclass(frozen=True)
class Answer:
    """What ``/page/map.json`` says.

    Attributes:
        state: ``drawing``, ``ready`` or ``failed``.
        content: JSON.
        compressed: the same, by gzip.
        key: of the drawn map; empty for the other states.
    """

    state: str
    content: bytes
    compressed: bytes
    key: str = ""

    @classmethod
    def of(cls, value: dict[str, Any], key: str = "") -> "Answer":
        """From what is to be said; ``value`` has a ``state``."""
        content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        # Without a time in it, the same map is the same bytes.
        return cls(value["state"], content, gzip.compress(content, mtime=0), key)


class CatalogueMap:
    """Gives the map of the model that is served, or has it drawn.

    Args:
        run: maps are kept in its folder ``page``, where it can be written.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / "page"
        self._lock = threading.Lock()
        self._version = ""
        self._answer = Answer.of({"state": "drawing"})

    def answer(self, served: Served) -> Answer:
        """The map if it is drawn; else that it is being drawn, which this call begins."""
        with self._lock:
            if self._version != served.version:
                self._version = served.version
                self._answer = Answer.of({"state": "drawing"})
                drawing = threading.Thread(
                    target=self._draw, args=[served], name="catalogue map", daemon=True
                )
                drawing.start()
            return self._answer

    def _draw(self, served: Served) -> None:
        try:
            answer = draw(served, self.folder)
        except Exception as error:
            # The page says so; a map that cannot be drawn is no reason to stop serving.
            progress.note(f"the catalogue's map could not be drawn: {type(error).__name__}")
            answer = Answer.of({"state": "failed", "message": FAILED})
        with self._lock:
            if self._version == served.version:
                self._answer = answer


def draw(served: Served, folder: Path) -> Answer:
    """The map of a model, from ``folder`` if it was laid out before."""
    embeddings = served.similar.embeddings
    key = map_key(embeddings)
    places = _kept(folder, key, len(embeddings))
    if places is None:
        seed = derived_seed(served.config.seed, "catalogue map")
        with progress.task("Laying out the catalogue's map", len(embeddings), "item") as task:
            places = layout(embeddings, served.catalogue.counts, seed)
            task.advance(len(embeddings))
        _keep(folder, key, places)
    return Answer.of(described(served, places, int(unlearned(embeddings).sum())), key)


def map_key(embeddings: NDArray[np.float32]) -> str:
    """Sixteen hexadecimal digits that change with the embeddings and with the way of laying out."""
    digest = hashlib.sha256(f"{FORMAT} {embeddings.shape}".encode())
    digest.update(np.ascontiguousarray(embeddings).data)
    return digest.hexdigest()[:16]


def described(
    served: Served, places: NDArray[np.float32], without_direction: int
) -> dict[str, Any]:
    """The map as it is sent: one entry per drawn item in every list, best known first."""
    catalogue = served.catalogue
    drawn = np.argsort(-catalogue.counts, kind="stable")[:MOST_DRAWN]
    ids = catalogue.items.ids(drawn)
    units = np.rint(places[drawn] * UNITS).astype(np.int64)
    columns = [
        coloured(name, [column.elements_of(item) for item in drawn.tolist()])
        for name, column in catalogue.attributes.items()
    ]
    columns.append(binned("interactions", catalogue.counts[drawn].tolist()))
    return {
        "state": "ready",
        "items": len(places),
        "unlearned": without_direction,
        "ids": ids,
        "titles": [
            catalogue.titles[item] or external_id
            for item, external_id in zip(drawn.tolist(), ids, strict=True)
        ],
        "x": units[:, 0].tolist(),
        "y": units[:, 1].tolist(),
        # Categories first: they are what one looks for on a map.
        "attributes": sorted(filter(None, columns), key=lambda column: column["kind"]),
    }


def _kept(folder: Path, key: str, items: int) -> NDArray[np.float32] | None:
    """A map that was laid out before; one that is damaged is laid out again."""
    try:
        places = np.load(_path(folder, key), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = places.shape == (items, 2) and places.dtype == np.float32
    return places if fits and np.isfinite(places).all() else None


def _keep(folder: Path, key: str, places: NDArray[np.float32]) -> None:
    """Write a map and remove those of other models; a folder that is not to be written is left."""
    path = _path(folder, key)
    try:
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, places, allow_pickle=False)
        for other in folder.glob("map-*.npy"):
            if other != path:
                other.unlink(missing_ok=True)
    except (OSError, InputError) as error:
        progress.note(f"the catalogue's map is not kept: {error}")


def _path(folder: Path, key: str) -> Path:
    return folder / f"map-{key}.npy"
