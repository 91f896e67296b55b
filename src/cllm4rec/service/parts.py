"""What the routes of one service share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fastapi import Request

from cllm4rec.errors import CLLM4RecError
from cllm4rec.service.batching import MicroBatcher
from cllm4rec.service.feedback import FeedbackLog
from cllm4rec.service.metrics import ServiceMetrics
from cllm4rec.service.newcomers import Newcomers
from cllm4rec.service.served import ModelHolder
from cllm4rec.service.settings import ServiceSettings

Answer = TypeVar("Answer")


@dataclass(eq=False)
class Parts:
    """The parts of one service.

    Attributes:
        settings: how it runs.
        holder: the model that answers.
        batcher: where requests meet.
        feedback: the log of what happened.
        metrics: the counters.
        newcomers: whom feedback alone knows.
        draining: whether it is shutting down.
        failed: why there will be no model; None while there may be.
        on_failure: called when the first load failed.
    """

    settings: ServiceSettings
    holder: ModelHolder
    batcher: MicroBatcher
    feedback: FeedbackLog
    metrics: ServiceMetrics
    newcomers: Newcomers = field(default_factory=Newcomers)
    draining: bool = False
    failed: CLLM4RecError | None = None
    on_failure: Callable[[], None] = lambda: None


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


async def answered_or_gone(answer: Awaitable[Answer], request: Request) -> Answer:
    """Await an answer as long as the client waits for it too.

    Raises:
        ClientGone: the client left; the answer is cancelled.
    """
    asking = asyncio.current_task()
    assert asking is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        await _left(request)
        has_left = True
        asking.cancel()

    watching = asyncio.ensure_future(watch())
    try:
        return await answer
    except asyncio.CancelledError:
        if not has_left:
            raise
        asking.uncancel()
        raise ClientGone from None
    finally:
        watching.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
