"""Where a request is resolved: what takes long must not hold up the event loop."""

import asyncio
import threading
from typing import Any

import pytest

from cllm4rec.service import answering
from cllm4rec.service.schemas import RecommendRequest


@pytest.mark.parametrize(
    ("where", "on_the_loop"),
    [(None, True), ({"genre": "a"}, True), (["price<5", "genre=a"], False)],
)
def test_items_are_compared_outside_the_event_loop(monkeypatch, where, on_the_loop):
    found: list[bool] = []

    def resolve(*_: Any) -> None:
        found.append(threading.current_thread() is threading.main_thread())

    monkeypatch.setattr(answering, "request_of", resolve)
    body = RecommendRequest(users=["u"], where=where)
    asyncio.run(answering.asked(body, None, None))
    assert found == [on_the_loop]
