"""A disk that is full or read-only: an answer that says so, and nothing half-changed."""

import errno
import os
import re
from pathlib import Path

import pytest
from filelock import FileLock
from safetensors import SafetensorError

from cllm4rec.recommender import added
from cllm4rec.service.served import model_version

NEW = [{"item_id": "n 1", "title": "A Robot's Autumn"}, {"item_id": "n0", "text": "A rocket."}]


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (errno.ENOSPC, 503, "no space left on .*; nothing was changed"),
        (errno.EDQUOT, 503, "no space left on .*; nothing was changed"),
        (errno.EROFS, 409, "cannot be written here; change its items where it can, then reload"),
        (errno.EACCES, 409, "cannot be written here; change its items where it can, then reload"),
    ],
)
def test_a_disk_that_refuses_is_no_fault_of_the_service(
    own, own_run, monkeypatch, number, status, said
):
    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number), "some/file")

    version = model_version(own_run)
    assert own.post("/v1/items", json={"items": NEW}).status_code == 200
    changed = model_version(own_run)
    for module in ("cllm4rec.stages.add_items._write", "cllm4rec.stages.add_items.remove_all"):
        monkeypatch.setattr(module, refuse)
    third = {"items": [{"item_id": "n2", "title": "Another robot"}]}
    for answer in (
        own.post("/v1/items", json=third),
        own.request("DELETE", "/v1/items", json={"items": ["n 1"]}),
        own.request("DELETE", "/v1/items", json={"items": ["n 1", "n0"]}),
    ):
        assert answer.status_code == status, answer.text
        assert re.search(said, answer.json()["error"])
        assert ("Retry-After" in answer.headers) == (status == 503)
    monkeypatch.undo()
    assert model_version(own_run) == changed
    assert own.request("DELETE", "/v1/items", json={"items": ["n 1", "n0"]}).status_code == 200
    assert model_version(own_run) == version


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_links(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def files(run: Path) -> dict[str, bytes]:
    """Of the run; its lock is nobody's."""
    found = (path for path in sorted(run.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path): path.read_bytes() for path in found}


@pytest.mark.parametrize(
    "said",
    ["I/O error: No space left on device (os error 28)", "Disk quota exceeded (os error 122)"],
)
def test_safetensors_words_for_a_full_disk(own, own_run, monkeypatch, said):
    def refuse(*_args, **_kwargs):
        raise SafetensorError(said)

    assert own.post("/v1/items", json={"items": NEW[1:]}).status_code == 200
    before = files(own_run)
    monkeypatch.setattr(added, "save_file", refuse)
    assert own.post("/v1/items", json={"items": NEW[:1]}).status_code == 503
    assert files(own_run) == before


def test_a_disk_too_full_for_the_lock(own, monkeypatch):
    monkeypatch.setattr(FileLock, "acquire", full)
    assert own.post("/v1/items", json={"items": NEW}).status_code == 503


@pytest.mark.parametrize("link", [os.link, no_links])
@pytest.mark.parametrize(
    ("there", "method", "body"),
    [
        ([], "POST", {"items": NEW[:1]}),
        (NEW[1:], "POST", {"items": NEW[:1]}),
        (NEW, "DELETE", {"items": ["n0"]}),
        (NEW, "DELETE", {"items": None}),
    ],
)
def test_a_change_is_undone_without_space(own, own_run, there, method, body, link, monkeypatch):
    """The model cannot be loaded with it, and by then the disk is full."""
    if there:
        assert own.post("/v1/items", json={"items": there}).status_code == 200
    holder, before = own.app.state.components.holder, files(own_run)
    texts = own_run / "model" / "texts.json"
    kept = texts.read_bytes()
    monkeypatch.setattr(os, "link", link)

    def load():
        for place, name in ((added, "save_file"), (Path, "touch"), (Path, "mkdir"), (os, "mkdir")):
            monkeypatch.setattr(place, name, full)
        texts.unlink()
        return type(holder).load(holder)

    holder.load = load
    answer = own.request(method, "/v1/items", json=body)
    monkeypatch.undo()
    assert answer.status_code == 409, answer.text
    assert "nothing was changed" in answer.json()["error"]
    texts.write_bytes(kept)
    assert files(own_run) == before
    del holder.load
    assert own.post("/v1/reload").status_code == 200
    for item in NEW:
        found = own.get(f"/v1/items/{item['item_id']}").status_code
        assert found == (200 if item in there else 404)
