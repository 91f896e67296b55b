"""Micro-batching: a bounded queue, and one thread that scores waiting requests together.

Jobs share every forward pass fairly: a request for 64 long histories takes several passes, and
later requests join in. The expected wait of a new request is estimated from the queued tokens and a
linear cost model of past passes; if it is too long, the request is refused at once.
"""

import asyncio
import math
import time
from collections import deque
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer
from cllm4rec.service.jobs import Job, Reduce, stacked
from cllm4rec.service.speed import Speed
from cllm4rec.service.worker import Worker

SHORTEST_WAIT_S = 0.05
"""Lower bound of the longest permitted wait."""
SINGLES = 6
"""Longest permitted wait, as a multiple of the duration of a pass with a single request."""
SINGLE_TOKENS = 256
"""Largest pass from which that duration is learned."""


class Overloaded(Exception):
    """The queue is too long.

    Attributes:
        retry_after_s: seconds after which to try again.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests are waiting; ask again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class DeadlinePassed(Exception):
    """The request was not answered within its deadline."""


class Observer(Protocol):
    """Callbacks of the batcher, called in its thread."""

    def batch(self, documents: int, tokens: int, seconds: float) -> None:
        """A forward pass was done."""

    def dropped(self, reason: str) -> None:
        """A job was dropped before it was scored."""


class MicroBatcher(Worker):
    """One worker thread behind a bounded queue; used from the event loop.

    Args:
        batch_tokens: tokens per forward pass.
        gather_s: longest wait for announced requests that are not yet submitted.
        max_wait_s: new requests that would wait longer are refused; None: learned.
        observer: gets every pass and every dropped job.
    """

    def __init__(
        self,
        *,
        batch_tokens: int,
        gather_s: float,
        max_wait_s: float | None,
        observer: Observer,
    ) -> None:
        self.batch_tokens = batch_tokens
        self.gather_s = gather_s
        self._max_wait_s = max_wait_s
        self.speed = Speed()
        """Cost model of past passes."""
        # Learned only from passes with an empty queue: a limit that grew with the load would
        # admit more load.
        self._single_s = 0.01
        self.announced = 0
        """Requests whose bodies are being read."""
        self._observer = observer
        self._jobs: deque[Job] = deque()
        self._running_tokens = 0
        self._running_since_s = 0.0
        super().__init__("scoring")

    @property
    def waiting_tokens(self) -> int:
        """Tokens queued or being scored."""
        return self._running_tokens + sum(job.left for job in list(self._jobs))

    @property
    def waiting_jobs(self) -> int:
        """Requests in the queue."""
        return len(self._jobs)

    @property
    def longest_wait_s(self) -> float:
        """Longest permitted wait of a new request, in seconds."""
        if self._max_wait_s is not None:
            return self._max_wait_s
        return max(SHORTEST_WAIT_S, SINGLES * self._single_s)

    def learn(self, tokens: int, seconds: float, *, single: bool = True) -> None:
        """Learn from a forward pass; ``single``: it had one request, and none was waiting."""
        self.speed.learn(tokens, seconds)
        if single and tokens <= SINGLE_TOKENS:
            self._single_s += 0.1 * (seconds - self._single_s)

    def refuse_if_full(self) -> None:
        """Refuse a new request that would wait too long.

        Raises:
            Overloaded: the expected wait exceeds the limit.
        """
        jobs = list(self._jobs)
        if not jobs:
            return
        # A large job delays new requests only by its fair part of a pass.
        quota = max(self.batch_tokens // 4, 1)
        queued = sum(min(job.left, quota) for job in jobs)
        running_s = self.speed.seconds(self._running_tokens, self.batch_tokens)
        running_left_s = max(0.0, running_s - (time.perf_counter() - self._running_since_s))
        queued_s = self.speed.seconds(queued, self.batch_tokens)
        # Everything queued joins the next pass, and later arrivals may prolong it: reckon half of
        # the wait for the running pass and half for the next one.
        wait_s = max(running_left_s + queued_s, 2 * queued_s)
        # The estimate may be wrong on a busy machine; the wait of queued jobs is a fact. (Jobs
        # already begun do not count: they are large.)
        waited_s = max((time.monotonic() - job.since_s for job in jobs if not job.done), default=0)
        wait_s = max(wait_s, waited_s)
        if wait_s > self.longest_wait_s:
            raise Overloaded(max(1, math.ceil(wait_s)))

    async def score(
        self,
        scorer: Scorer,
        users: NDArray[np.int32],
        histories: Interactions,
        tokens: NDArray[np.int64],
        reduce: Reduce,
        *,
        deadline_s: float,
    ) -> list[Any]:
        """Score histories, batched with those of other requests.

        Args:
            scorer: the model to use.
            users: user numbers ``[rows]``.
            histories: one row per user.
            tokens: of each row's document.
            reduce: called in the worker thread for consecutive rows.
            deadline_s: by :func:`time.monotonic`.

        Returns:
            The results of ``reduce``, in the order of the rows.

        Raises:
            DeadlinePassed: the deadline passed first.
        """
        loop = asyncio.get_running_loop()
        job = Job(
            scorer,
            users,
            histories,
            tokens,
            reduce,
            deadline_s,
            time.monotonic(),
            loop.create_future(),
        )
        job.left = int(tokens.sum())
        with self._condition:
            if self._closing:
                raise DeadlinePassed("the service is shutting down")
            self._jobs.append(job)
            self._condition.notify()
        return await job.future

    def _work(self) -> None:
        while batch := self._next_batch():
            started_at_s = self._running_since_s = time.perf_counter()
            finished: list[tuple[Job, BaseException | None]] = []
            try:
                finished = self._score(batch)
            except Exception as error:
                # All requests of the pass fail; the worker continues.
                finished = [(job, error) for job, _rows in batch]
            tokens, self._running_tokens = self._running_tokens, 0
            elapsed_s = time.perf_counter() - started_at_s
            self.learn(tokens, elapsed_s, single=len(batch) == 1 and not self._jobs)
            self._observer.batch(sum(r.stop - r.start for _, r in batch), tokens, elapsed_s)
            self._resolve(finished)

    def _score(self, batch: list[tuple[Job, slice]]) -> list[tuple[Job, BaseException | None]]:
        users = np.concatenate([job.users[rows] for job, rows in batch])
        histories = stacked([job.histories.rows(range(r.start, r.stop)) for job, r in batch])
        scores = batch[0][0].scorer.score(users, histories)
        finished: list[tuple[Job, BaseException | None]] = []
        start, again = 0, []
        for job, rows in batch:
            stop = start + rows.stop - rows.start
            try:
                job.kept.append(job.reduce(scores[start:stop], rows))
            except Exception as error:
                finished.append((job, error))
            else:
                if rows.stop == len(job.users):
                    finished.append((job, None))
                else:
                    job.done = rows.stop
                    again.append(job)
            start = stop
        with self._condition:
            self._jobs.extend(again)
        return finished

    def _next_batch(self) -> list[tuple[Job, slice]]:
        """Rows for one forward pass; empty when the batcher is closed and the queue empty."""
        with self._condition:
            while True:
                while not self._jobs and not self._closing:
                    self._condition.wait()
                self._gather()
                self._drop()
                if self._jobs:
                    return self._taken()
                if self._closing:
                    return []

    def _gather(self) -> None:
        """Wait briefly for announced requests, if there are any."""
        until_s = time.monotonic() + self.gather_s
        while self.announced > 0 and not self._closing:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or sum(job.left for job in self._jobs) >= self.batch_tokens:
                return
            self._condition.wait(left_s)

    def _drop(self) -> None:
        """Drop jobs whose client left or whose deadline has passed."""
        now_s = time.monotonic()
        late = [job for job in self._jobs if job.deadline_s < now_s and not job.future.cancelled()]
        gone = sum(job.future.cancelled() for job in self._jobs)
        if late or gone:
            kept = [j for j in self._jobs if j.deadline_s >= now_s and not j.future.cancelled()]
            self._jobs = deque(kept)
            for _ in range(gone):
                self._observer.dropped("client left")
            for _ in late:
                self._observer.dropped("deadline")
            self._resolve([(job, DeadlinePassed("not answered in time")) for job in late])

    def _taken(self) -> list[tuple[Job, slice]]:
        """Take an equal number of tokens from every queued job for the same model."""
        scorer = self._jobs[0].scorer
        quota = self.batch_tokens // len(self._jobs)
        batch: list[tuple[Job, slice]] = []
        kept: list[Job] = []
        tokens = 0
        for job in self._jobs:
            if job.scorer is not scorer or tokens >= self.batch_tokens:
                kept.append(job)
                continue
            rows = job.take(min(quota, self.batch_tokens - tokens))
            taken = int(job.tokens[rows].sum())
            job.left -= taken
            tokens += taken
            batch.append((job, rows))
        self._jobs = deque(kept)
        self._running_tokens = tokens
        return batch

    def _resolve(self, finished: list[tuple[Job, BaseException | None]]) -> None:
        """Pass all results of a pass to the event loop in one call."""
        assert self._loop is not None
        if finished:
            self._loop.call_soon_threadsafe(_deliver, finished)


def _deliver(finished: list[tuple[Job, BaseException | None]]) -> None:
    for job, error in finished:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(job.kept)
        else:
            job.future.set_exception(error)
