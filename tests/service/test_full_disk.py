"""A disk that is full or read-only: an answer that says so, and nothing half-changed."""

import errno
import os
import re

import pytest

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
    added = model_version(own_run)
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
    assert model_version(own_run) == added
    assert own.request("DELETE", "/v1/items", json={"items": ["n 1", "n0"]}).status_code == 200
    assert model_version(own_run) == version
