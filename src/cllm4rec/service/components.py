"""State shared by the routes of one service."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fastapi import Request

from cllm4rec.errors import CLLM4RecError
from cllm4rec.service.batching import MicroBatcher
from cllm4rec.service.catalogue_changes import CatalogueChanges
from cllm4rec.service.feedback import FeedbackLog
from cllm4rec.service.feedback_histories import FeedbackHistories
from cllm4rec.service.metrics import ServiceMetrics
from cllm4rec.service.served import ModelHolder
from cllm4rec.service.settings import ServiceSettings

Answer = TypeVar("Answer")


@dataclass(eq=False)
class Components:
    """The components of one service; the routes find them in ``app.state``.

    Attributes:
        settings: of the service.
        holder: the model that answers.
        batcher: groups waiting requests into forward passes.
        feedback: the feedback log on disk.
        metrics: Prometheus counters and gauges.
        changes: of the catalogue.
        replacing: held while the model is replaced; what waits takes no thread from requests.
        feedback_histories: what users had since the training.
        draining: whether it is shutting down.
        failed: the error of the first load; None unless it failed.
        on_failure: called when the first load failed.
    """

    settings: ServiceSettings
    holder: ModelHolder
    batcher: MicroBatcher
    feedback: FeedbackLog
    metrics: ServiceMetrics
    changes: CatalogueChanges
    feedback_histories: FeedbackHistories = field(default_factory=FeedbackHistories)
    replacing: asyncio.Lock = field(default_factory=asyncio.Lock)
    draining: bool = False
    failed: CLLM4RecError | None = None
    on_failure: Callable[[], None] = lambda: None


class ClientGone(Exception):
    """The client closed the connection before the answer."""


async def answered_or_gone(answer: Awaitable[Answer], request: Request) -> Answer:
    """Await an answer; cancel it if the client disconnects.

    Raises:
        ClientGone: the client disconnected.
    """
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        await _left(request)
        has_left = True
        task.cancel()

    watching = asyncio.ensure_future(watch())
    try:
        return await answer
    except asyncio.CancelledError:
        if not has_left:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        watching.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
