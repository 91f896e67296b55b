"""The measurement measures: a real server, and a client that cannot be fooled by a stall."""

import asyncio
import gc

import pytest
import torch

from benchmarks.service.client import Answer, Client, figures
from benchmarks.service.loads import Load, measure_service
from cllm4rec import progress
from cllm4rec.run import RunDir


@pytest.mark.slow
def test_every_load_of_a_real_server_is_measured(run):
    gc.unfreeze()  # what the tests' own start froze
    before = torch.get_num_threads(), gc.get_freeze_count()
    with progress.quiet():
        result = measure_service(RunDir(run), Load(singles=5, steady_per_s=20, seconds=1))
    assert (torch.get_num_threads(), gc.get_freeze_count()) == before
    assert result["bare"]["p50_ms"] > 0
    assert result["single"]["answers"] == 5
    assert result["steady"]["answers"] + result["steady"]["refused"] * 20 == 20
    assert result["sustained"]["per_s"] > 0
    assert result["overload"]["per_s"] == pytest.approx(5 * result["sustained"]["per_s"], rel=0.01)
    assert result["overload"]["other"] == 0


def conversation(answer, talk):
    """Talk with a server that hands every request to ``answer``."""

    async def run():
        serving = []

        async def serve(reader, writer):
            serving.append(asyncio.current_task())
            try:
                while await reader.readuntil(b"\r\n\r\n"):
                    status, body = await answer()
                    writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 2\r\n\r\n" % status + body)
            except asyncio.IncompleteReadError:
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = Client("127.0.0.1", port, [b"GET / HTTP/1.1\r\n\r\n"])
        try:
            return await talk(client)
        finally:
            await client.close()
            server.close()
            await asyncio.gather(*serving)

    return asyncio.run(run())


def test_a_stall_is_seen_by_every_request_that_was_due():
    gate: dict[str, asyncio.Event] = {}

    async def answer():
        await gate.setdefault("open", asyncio.Event()).wait()
        return 200, b"ok"

    async def talk(client):
        asking = asyncio.ensure_future(client.open_loop(100, 0.2))
        await asyncio.sleep(0)  # the first is due before the stall's clock begins
        await asyncio.sleep(0.4)
        gate["open"].set()
        return await asking

    times = [each.seconds for each in conversation(answer, talk)]
    assert len(times) == 20
    # The first was due at 0, the last at 0.19: each has waited since then, sent or not.
    assert min(times) >= 0.2
    assert times[0] >= 0.4


def test_statuses_are_kept_apart_and_connections_kept_open():
    statuses = iter([200, 429] * 50)

    async def answer():
        return next(statuses), b"ok"

    async def talk(client):
        answers = [await client.ask() for _ in range(100)]
        assert len(client._idle) == 1
        return answers

    answers = conversation(answer, talk)
    assert figures(answers)["answers"] == figures(answers, 429)["answers"] == 50


def test_a_server_that_hangs_up_is_said():
    async def answer():
        raise asyncio.IncompleteReadError(b"", None)  # what the server above ends a talk with

    async def talk(client):
        with pytest.raises(ConnectionError, match="before the answer"):
            await client.ask()
        return [Answer(0, 0.0)]

    conversation(answer, talk)


def test_a_connection_the_server_has_closed_is_not_used_again():
    async def once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async def run():
        server = await asyncio.start_server(once, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = Client("127.0.0.1", port, [b"GET / HTTP/1.1\r\n\r\n"])
        first = await client.ask()
        await asyncio.sleep(0.1)  # by then the end of the connection is known
        second = await client.ask()
        await client.close()
        server.close()
        return first.status, second.status

    assert asyncio.run(run()) == (200, 200)


def test_percentiles_are_of_one_status():
    answers = [Answer(200, n / 1000) for n in range(1, 102)] + [Answer(429, 9.0)]
    assert figures(answers) == {
        "answers": 101,
        "p50_ms": 51.0,
        "p95_ms": 96.0,
        "p99_ms": 100.0,
        "max_ms": 101.0,
    }
    assert figures(answers, 500) == {"answers": 0}
