"""A request whose client has left is given up; one whose client waits is not."""

import asyncio
import dataclasses
import json
import threading

import numpy as np
import pytest

from cllm4rec.service import ModelHolder, ServiceSettings, create_app


class Gated:
    """A scorer that waits at a gate and remembers whom it scored."""

    def __init__(self) -> None:
        self.gate, self.asked, self.users = threading.Event(), threading.Event(), []

    def score(self, users, history):
        self.asked.set()
        assert self.gate.wait(30)
        self.users += users.tolist()
        return np.zeros((len(users), history.num_items), np.float32)


@pytest.fixture
def gated(run, holder, tmp_path):
    """An application whose model waits, its scorer, and a way to ask it below any server."""
    scorer, own = Gated(), ModelHolder(run)
    own._current = dataclasses.replace(holder.current, scorer=scorer)
    return create_app(ServiceSettings(run=run, feedback=tmp_path, max_wait_ms=60_000), own), scorer


async def asked(app, user: str, left: asyncio.Event) -> list[dict]:
    """Everything that is sent to one client, who leaves when told to."""
    body = json.dumps({"users": [user]}).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/recommend",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    coming, sent = [{"type": "http.request", "body": body}], []

    async def receive():
        if coming:
            return coming.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


def test_who_leaves_is_not_scored_and_who_stays_is(gated, holder):
    app, scorer = gated
    users = holder.current.dataset.users.ids([0, 1, 2])

    async def conversation():
        async with app.router.lifespan_context(app):
            leaves, stays = asyncio.Event(), asyncio.Event()
            first = asyncio.ensure_future(asked(app, users[0], stays))
            assert await asyncio.to_thread(scorer.asked.wait, 30)  # it is being scored
            second = asyncio.ensure_future(asked(app, users[1], leaves))
            third = asyncio.ensure_future(asked(app, users[2], stays))
            await asyncio.sleep(0.1)
            leaves.set()
            await asyncio.wait_for(second, 10)
            scorer.gate.set()
            return await asyncio.wait_for(asyncio.gather(first, third), 10)

    for sent in asyncio.run(conversation()):
        assert sent[0]["status"] == 200
        assert json.loads(sent[1]["body"])["results"]
    assert scorer.users == [0, 2]
    assert 'dropped_total{reason="client left"} 1.0' in app.state.components.metrics.page().decode()
