"""The application: components, middleware, lifespan, and one-line errors."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from cllm4rec import progress
from cllm4rec.errors import CLLM4RecError, InputError, IntegrityError, RunError
from cllm4rec.service.answers import error_body
from cllm4rec.service.auth import KeyCheck
from cllm4rec.service.batching import DeadlinePassed, MicroBatcher
from cllm4rec.service.catalogue_changes import CatalogueChanges, ItemsUnavailable
from cllm4rec.service.components import ClientGone, Components
from cllm4rec.service.faults import fault_line
from cllm4rec.service.feedback import FeedbackLog, FeedbackUnavailable
from cllm4rec.service.limits import Counted, Limits
from cllm4rec.service.metrics import ServiceMetrics
from cllm4rec.service.page import mount_page
from cllm4rec.service.routes import health, routes
from cllm4rec.service.served import ModelHolder, NotReady
from cllm4rec.service.settings import MAX_BODY_BYTES, ServiceSettings
from cllm4rec.service.subprocess_scorer import ScorerGone

SHOWN_ERRORS = 3
"""Most faults of a request that its error lists."""

NOT_JSON = "the body is not JSON"


def create_app(settings: ServiceSettings, holder: ModelHolder | None = None) -> FastAPI:
    """The service as an ASGI application.

    Args:
        settings: of the service.
        holder: of the model; loaded in the background at startup if it is not loaded yet.

    Raises:
        InputError: the feedback folder cannot be written.
    """
    components = _components(settings, holder or ModelHolder(settings.run))
    app = FastAPI(
        title="cllm4rec",
        version=version("cllm4rec"),
        description="Recommendations by a collaborative large language model.",
        lifespan=_lifespan(components),
        separate_input_output_schemas=False,
    )
    app.state.components = components
    app.include_router(routes(components))
    app.include_router(health(components))
    _handle_errors(app)
    # The last one added is the outermost: count, then check the key, then read the body.
    app.add_middleware(
        Limits,
        metrics=components.metrics,
        batcher=components.batcher,
        max_body_bytes=MAX_BODY_BYTES,
    )
    app.add_middleware(KeyCheck, keys=settings.keys, local_hosts_only=settings.local_hosts_only)
    app.add_middleware(Counted, metrics=components.metrics)
    mount_page(app, components.holder)
    return app


def _components(settings: ServiceSettings, holder: ModelHolder) -> Components:
    metrics = ServiceMetrics()
    batcher = MicroBatcher(
        batch_tokens=settings.batch_tokens,
        gather_s=settings.gather_ms / 1000,
        max_wait_s=None if settings.max_wait_ms is None else settings.max_wait_ms / 1000,
        observer=metrics,
    )
    feedback = FeedbackLog(settings.feedback_folder, on_commit=metrics.feedback_commits.inc)
    holder.on_load, holder.on_pass = metrics.loaded, batcher.learn
    metrics.watch("queue_tokens", "Tokens queued or being scored.", lambda: batcher.waiting_tokens)
    metrics.watch("queue_requests", "Requests queued.", lambda: batcher.waiting_jobs)
    metrics.watch("max_wait_seconds", "Longer: refused.", lambda: batcher.longest_wait_s)
    metrics.watch(
        "tokens_per_second",
        "Speed of full forward passes, as measured.",
        lambda: batcher.speed.tokens_per_s(batcher.batch_tokens),
    )
    metrics.watch("ready", "Whether a model is loaded.", lambda: float(holder.ready))
    return Components(settings, holder, batcher, feedback, metrics, CatalogueChanges(holder))


def _lifespan(components: Components) -> Any:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(components.feedback_histories.read, components.feedback.path)
        components.batcher.start()
        components.feedback.start()
        loading = None
        owned = not components.holder.ready
        if owned:
            loading = asyncio.create_task(asyncio.to_thread(_first_load, components))
        try:
            yield
        finally:
            components.draining = True
            if loading is not None:
                await loading
            await asyncio.to_thread(components.batcher.close)
            if owned:
                await asyncio.to_thread(components.holder.close)
            await asyncio.to_thread(components.feedback.close)
            # Undo the freeze: duckdb would report its frozen objects as leaks at exit.
            gc.unfreeze()

    return lifespan


def _first_load(components: Components) -> None:
    try:
        served = components.holder.load()
    except CLLM4RecError as error:
        components.failed = error
        components.on_failure()
    else:
        # No requests yet, so a pause is fine. Later full collections skip frozen objects.
        gc.collect()
        gc.freeze()
        progress.note(f"serving model {served.version}")


def _handle_errors(app: FastAPI) -> None:
    """Every error is ``{"error": "one line"}`` and repeats nothing of the request but ids."""

    def answer(status: int, message: str, **headers: str) -> Response:
        return Response(error_body(message), status, headers, media_type="application/json")

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # bytes that are no text, or nested too deeply
            return answer(400, NOT_JSON)
        return answer(error.status_code, str(error.detail), **(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, error: RequestValidationError) -> Response:
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            return answer(400, NOT_JSON)
        endpoint = request.scope["route"].endpoint
        faults = [fault_line(endpoint, fault) for fault in error.errors()[:SHOWN_ERRORS]]
        return answer(422, "; ".join(faults))

    @app.exception_handler(InputError)
    async def not_usable(_request: Request, error: InputError) -> Response:
        return answer(422, str(error))

    @app.exception_handler(RunError)
    @app.exception_handler(IntegrityError)
    async def at_work(_request: Request, error: CLLM4RecError) -> Response:
        return answer(409, str(error))

    @app.exception_handler(NotReady)
    async def not_ready(_request: Request, error: NotReady) -> Response:
        return answer(503, str(error), **{"Retry-After": "5"})

    @app.exception_handler(ScorerGone)
    async def scorer_gone(request: Request, _error: ScorerGone) -> Response:
        request.app.state.components.holder.revive()
        return answer(503, "the model is being loaded again", **{"Retry-After": "5"})

    @app.exception_handler(FeedbackUnavailable)
    @app.exception_handler(ItemsUnavailable)
    async def not_kept(_request: Request, error: Exception) -> Response:
        return answer(503, str(error), **{"Retry-After": "5"})

    @app.exception_handler(DeadlinePassed)
    async def too_late(_request: Request, error: DeadlinePassed) -> Response:
        return answer(503, str(error), **{"Retry-After": "1"})

    @app.exception_handler(ClientGone)
    async def gone(_request: Request, _error: ClientGone) -> Response:
        return Response(status_code=499)

    @app.exception_handler(Exception)
    async def our_fault(_request: Request, _error: Exception) -> Response:
        return answer(500, "a fault of this service; its log says more")
