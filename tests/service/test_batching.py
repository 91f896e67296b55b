"""The queue: the same answers as alone, fair shares, refusals, and nothing scored in vain."""

import asyncio
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.service.batching import DeadlinePassed, MicroBatcher, Overloaded

NUM_ITEMS = 6


class Summing:
    """A scorer whose answer shows what it was asked; waits at a gate where it is given one."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def score(self, users, history):
        assert self.gate.wait(30)
        self.passes.append(users.tolist())
        if -99 in users:
            raise RuntimeError("a bad pass")
        base = np.array([history.of(row).sum() for row in range(len(users))], np.float32)
        return base[:, None] + users[:, None] + np.arange(NUM_ITEMS, dtype=np.float32)


class Observer:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.documents = 0

    def batch(self, documents, tokens, seconds):
        self.documents += documents

    def dropped(self, reason):
        self.reasons.append(reason)


def batcher(**changes) -> MicroBatcher:
    settings = {"batch_tokens": 40, "gather_s": 0.0, "max_wait_s": 60.0, "observer": Observer()}
    return MicroBatcher(**{**settings, **changes})


def asking(queue, scorer, users, histories, *, deadline_s=60.0, keep=lambda scores, _rows: scores):
    rows = Interactions.from_lists(histories, NUM_ITEMS)
    return queue.score(
        scorer,
        np.array(users, np.int32),
        rows,
        rows.counts() + 10,
        keep,
        deadline_s=time.monotonic() + deadline_s,
    )


def served(conversation, **changes):
    """Run a conversation with a started batcher, and close it."""

    async def run():
        queue = batcher(**changes)
        queue.start()
        try:
            return await asyncio.wait_for(conversation(queue), 30)
        finally:
            await asyncio.to_thread(queue.close)

    return asyncio.run(run())


requests = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.lists(st.integers(0, NUM_ITEMS - 1), unique=True, max_size=6)
        ),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=8,
)


@given(requests)
def test_together_they_get_what_each_would_get_alone(requests):
    scorer = Summing()

    async def conversation(queue):
        return await asyncio.gather(
            *(asking(queue, scorer, *map(list, zip(*request, strict=True))) for request in requests)
        )

    for request, kept in zip(requests, served(conversation), strict=True):
        expected = [sum(items) + user + np.arange(NUM_ITEMS) for user, items in request]
        assert np.concatenate(kept).tolist() == np.array(expected, np.float32).tolist()


def test_requests_that_wait_share_a_pass():
    scorer = Summing()

    async def conversation(queue):
        scorer.gate.clear()
        asked = [asyncio.ensure_future(asking(queue, scorer, [n], [[0]])) for n in range(4)]
        await asyncio.sleep(0.05)
        scorer.gate.set()
        await asyncio.gather(*asked)

    served(conversation)
    assert sorted(user for users in scorer.passes for user in users) == [0, 1, 2, 3]
    assert len(scorer.passes) <= 2  # the first may have been taken alone


def test_a_large_request_lets_small_ones_in():
    scorer, order = Summing(), []

    async def conversation(queue):
        async def ask(name, count):
            await asking(queue, scorer, [name] * count, [[0, 1]] * count)
            order.append(name)

        scorer.gate.clear()
        large = asyncio.ensure_future(ask(1, 64))
        await asyncio.sleep(0.05)
        small = asyncio.ensure_future(ask(2, 1))
        await asyncio.sleep(0.05)
        scorer.gate.set()
        await asyncio.gather(large, small)

    served(conversation)
    assert order == [2, 1]


def test_a_pass_keeps_to_its_tokens_unless_one_document_is_longer():
    scorer = Summing()

    async def conversation(queue):
        await asking(queue, scorer, list(range(7)), [[0, 1]] * 7)

    served(conversation, batch_tokens=40)
    assert [len(users) for users in scorer.passes] == [3, 3, 1]
    scorer.passes.clear()
    served(conversation, batch_tokens=5)
    assert [len(users) for users in scorer.passes] == [1] * 7


def test_a_newcomer_that_would_wait_too_long_is_refused():
    scorer = Summing()

    async def conversation(queue):
        queue.refuse_if_full()  # nothing waits: whatever the speed, one request is taken
        scorer.gate.clear()
        asked = [asyncio.ensure_future(asking(queue, scorer, [n], [[0]])) for n in range(9)]
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded) as refused:
            queue.refuse_if_full()
        assert refused.value.retry_after_s >= 1
        scorer.gate.set()
        await asyncio.gather(*asked)
        queue.refuse_if_full()

    served(conversation, max_wait_s=1e-6)


def test_the_queue_is_no_longer_than_half_of_the_wait():
    """Whoever comes first into a pass waits for the one before it and for all who come later."""
    scorer = Summing()

    async def conversation(queue):
        queue.speed.seconds = lambda tokens, _largest: tokens / 1000
        scorer.gate.clear()
        running = asyncio.ensure_future(asking(queue, scorer, [0], [[0]]))
        await asyncio.sleep(0.2)  # what runs is by then expected to be done: nothing is left of it
        asked = []
        while True:
            try:
                queue.refuse_if_full()
            except Overloaded:
                break
            asked.append(asyncio.ensure_future(asking(queue, scorer, [1], [[0]])))
            await asyncio.sleep(0)
        scorer.gate.set()
        await asyncio.gather(running, *asked)
        return len(asked)

    # Ten tokens of each count, a quarter of a pass: 60 ms of 120 are six jobs, the seventh is over.
    assert served(conversation, max_wait_s=0.12) == 7


def test_a_slow_model_is_given_more_time_and_a_busy_one_is_not():
    queue = batcher(max_wait_s=None)
    for _ in range(100):
        queue.learn(60, 0.001)
    assert queue.longest_wait_s == 0.05
    for _ in range(100):
        queue.learn(60, 0.1)
    assert queue.longest_wait_s == pytest.approx(6 * 0.1, rel=0.01)
    for _ in range(100):
        queue.learn(60, 9.0, single=False)
        queue.learn(2000, 9.0)
    assert queue.longest_wait_s == pytest.approx(6 * 0.1, rel=0.01)
    assert batcher(max_wait_s=3.0).longest_wait_s == 3.0


def test_what_nobody_waits_for_is_not_scored():
    scorer, observer = Summing(), Observer()

    async def conversation(queue):
        scorer.gate.clear()
        first = asyncio.ensure_future(asking(queue, scorer, [1], [[0]]))
        await asyncio.sleep(0.05)
        left = asyncio.ensure_future(asking(queue, scorer, [2], [[0]]))
        late = asyncio.ensure_future(asking(queue, scorer, [3], [[0]], deadline_s=0.01))
        await asyncio.sleep(0.05)
        left.cancel()
        await asyncio.sleep(0.01)
        scorer.gate.set()
        await first
        with pytest.raises(DeadlinePassed):
            await late

    served(conversation, observer=observer)
    assert scorer.passes == [[1]]
    assert sorted(observer.reasons) == ["client left", "deadline"]


def test_a_pass_that_fails_takes_nobody_else_with_it():
    scorer = Summing()

    async def conversation(queue):
        with pytest.raises(RuntimeError, match="a bad pass"):
            await asking(queue, scorer, [-99], [[0]])
        return await asking(queue, scorer, [1], [[2]])

    assert served(conversation)[0][0, 0] == 3


def test_a_request_that_cannot_be_kept_fails_alone():
    scorer = Summing()

    def broken(_scores, _rows):
        raise ValueError("cannot be kept")

    async def conversation(queue):
        scorer.gate.clear()
        bad = asyncio.ensure_future(asking(queue, scorer, [1], [[0]], keep=broken))
        good = asyncio.ensure_future(asking(queue, scorer, [2], [[0]]))
        await asyncio.sleep(0.05)
        scorer.gate.set()
        with pytest.raises(ValueError, match="cannot be kept"):
            await bad
        return await good

    assert served(conversation)[0][0, 0] == 2


def test_two_models_never_share_a_pass():
    old, new = Summing(), Summing()

    async def conversation(queue):
        old.gate.clear()
        asked = [asking(queue, old, [1], [[0]]), asking(queue, new, [2], [[0]])]
        asked = [asyncio.ensure_future(each) for each in [*asked, asking(queue, old, [3], [[0]])]]
        await asyncio.sleep(0.05)
        old.gate.set()
        await asyncio.gather(*asked)

    served(conversation)
    assert {user for users in old.passes for user in users} == {1, 3}
    assert new.passes == [[2]]


def test_closing_finishes_what_was_accepted():
    scorer = Summing()

    async def run():
        queue = batcher()
        queue.start()
        scorer.gate.clear()
        asked = [asyncio.ensure_future(asking(queue, scorer, [n], [[0]])) for n in range(5)]
        await asyncio.sleep(0.05)
        closing = asyncio.ensure_future(asyncio.to_thread(queue.close))
        await asyncio.sleep(0.05)
        with pytest.raises(DeadlinePassed, match="shutting down"):
            await asking(queue, scorer, [9], [[0]])
        scorer.gate.set()
        await closing
        return await asyncio.gather(*asked)

    assert [kept[0][0, 0] for kept in asyncio.run(run())] == [0, 1, 2, 3, 4]
    assert 9 not in {user for users in scorer.passes for user in users}


def test_a_request_that_is_on_its_way_is_waited_for():
    scorer = Summing()

    async def conversation(queue):
        queue.announced = 1
        first = asyncio.ensure_future(asking(queue, scorer, [1], [[0]]))
        await asyncio.sleep(0.02)
        assert scorer.passes == []
        queue.announced = 0
        await asyncio.gather(first, asking(queue, scorer, [2], [[0]]))

    served(conversation, gather_s=20.0)
    assert scorer.passes == [[1, 2]]
