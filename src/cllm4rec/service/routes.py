"""HTTP routes: validate a request, call one component, translate its answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException

from cllm4rec import progress
from cllm4rec.data.ids import IdMap
from cllm4rec.errors import CLLM4RecError, UnknownId
from cllm4rec.recommender.requests import ListRequest
from cllm4rec.recommender.resolving import history_of
from cllm4rec.service import answering, schemas
from cllm4rec.service.answering import asked, off_loop
from cllm4rec.service.answers import encoded
from cllm4rec.service.components import Components, answered_or_gone
from cllm4rec.service.error_answers import AT_WORK, BUSY, ERRORS, NOT_FOUND, ErrorResponse
from cllm4rec.service.type_ahead import users_with

LARGE = 2_000
"""Number of list entries above which an answer is encoded outside the event loop."""


class _Anything(Convertor[str]):
    """Like ``path``, but also matches line feeds: an id is any text."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any", _Anything())

AnyId = Annotated[str, Path(max_length=512)]


def routes(components: Components) -> APIRouter:
    """Every route of the service's interface, ``/v1``."""
    router = APIRouter(prefix="/v1", responses=ERRORS)

    @router.post("/recommend", response_model=schemas.RecommendResponse, responses=BUSY)
    async def recommend(body: schemas.RecommendRequest, request: Request) -> Response:
        """The best items for known users, after bare histories, or for a query in words."""
        served = components.holder.current
        query = await asked(body, served, components.feedback_histories)
        until_s = answering.deadline(components.settings.deadline_s)

        async def answer() -> tuple[Any, Any]:
            rows = await answering.ranked(query, served, components.batcher, until_s)
            if not body.explain:
                return rows, None
            return rows, await answering.explained(query, rows, served, components.batcher, until_s)

        rows, reasons = await answered_or_gone(answer(), request)
        return await _lists(body, query, rows, reasons, served, served.version)

    @router.post("/compare", response_model=schemas.RecommendResponse)
    async def compare(body: schemas.RecommendRequest) -> Response:
        """The same question answered by EASE, the baseline to beat; fitted at the first call."""
        served = components.holder.current
        query = await asked(body, served, components.feedback_histories)
        if len(body.users or body.histories or [None]) != 1:
            raise HTTPException(422, "compare takes one user or one history at a time")
        rows, reasons = await off_loop(answering.compared, query, served, body.explain)
        version = f"ease-{served.version}"
        return await _lists(body, query, rows, reasons, served, version)

    @router.get("/similar", response_model=schemas.SimilarResponse, responses=NOT_FOUND)
    def similar(query: Annotated[schemas.SimilarQuery, Query()]) -> dict[str, Any]:
        """Items nearest to one: by embeddings, texts, or who had them."""
        served = components.holder.current
        number = _found(served.catalogue.items, query.item_id)
        items, scores = served.similar_by(query.by).to(number, query.k)
        return {
            "model": {"version": served.version},
            "item_id": query.item_id,
            "items": [
                {**served.catalogue.named(item), "score": score}
                for item, score in zip(items, scores, strict=True)
            ],
        }

    @router.get("/items", response_model=schemas.ItemsResponse)
    def items(query: Annotated[schemas.ItemsQuery, Query()]) -> dict[str, Any]:
        """Items whose titles hold every word of the query; best known first."""
        served = components.holder.current
        found = served.type_ahead.search(query.query, query.limit)
        return {"items": [served.catalogue.named(item) for item in found]}

    @router.get("/items/{item_id:any}", response_model=schemas.ItemResponse, responses=NOT_FOUND)
    def item(item_id: AnyId) -> dict[str, Any]:
        """All that is known of one item."""
        served = components.holder.current
        number = _found(served.catalogue.items, item_id)
        return {
            **served.catalogue.named(number),
            "text": served.catalogue.texts[number],
            "attributes": served.catalogue.attributes_of(number),
            "interactions": int(served.catalogue.counts[number]),
        }

    @router.post("/items", response_model=schemas.CatalogueResponse, responses=AT_WORK)
    async def add_items(body: schemas.AddItemsRequest) -> dict[str, Any]:
        """Add items by their texts, without training; answered when they are in every answer."""
        _ = components.holder.current  # nothing is changed before there is a model
        async with components.replacing:
            answer: dict[str, Any] = await off_loop(components.changes.add, body)
        return answer

    @router.delete("/items", response_model=schemas.CatalogueResponse, responses=AT_WORK)
    async def remove_items(body: schemas.RemoveItemsRequest) -> dict[str, Any]:
        """Remove items that were added; answered when they are in no answer any more."""
        _ = components.holder.current
        async with components.replacing:
            answer: dict[str, Any] = await off_loop(components.changes.remove, body)
        return answer

    @router.get("/users", response_model=schemas.UsersResponse)
    def users(query: Annotated[schemas.UsersQuery, Query()]) -> dict[str, Any]:
        """Known user ids that begin with the query."""
        users = components.holder.current.dataset.users
        return {"users": users_with(users, query.query, query.limit)}

    @router.get(
        "/users/{user_id:any}/history",
        response_model=schemas.ItemsResponse,
        responses=NOT_FOUND,
    )
    def history(user_id: AnyId) -> dict[str, Any]:
        """A user's history, oldest first: from the data, then from feedback."""
        served = components.holder.current
        catalogue, since = served.catalogue, components.feedback_histories.histories([user_id])
        try:
            numbers = history_of(catalogue, served.known, user_id, since).tolist()
        except UnknownId as error:
            raise HTTPException(404, str(error)) from None
        return {"items": [catalogue.named(number) for number in numbers]}

    @router.post(
        "/feedback",
        status_code=202,
        response_model=schemas.AcceptedResponse,
        response_model_exclude_none=True,
    )
    async def feedback(body: schemas.FeedbackRequest) -> dict[str, Any]:
        """Keep interactions for the next training; answered when they are on the disk."""
        catalogue = components.holder.current.catalogue
        rows = components.feedback.rows_of(body.interactions)
        await components.feedback.append(rows)
        components.feedback_histories.add(rows)
        components.metrics.feedback.inc(len(rows))
        unknown = len(rows) - len(catalogue.known_numbers([row["item_id"] for row in rows]))
        note = f"{unknown:,} of {len(rows):,} are of items that the model does not know yet"
        return {"accepted": len(rows), "note": note if unknown else None}

    @router.post(
        "/reload",
        response_model=schemas.ReloadResponse,
        responses={409: {"model": ErrorResponse, "description": "The old model goes on."}},
    )
    async def reload() -> dict[str, Any]:
        """Load the run's model anew; requests in flight finish on the old one."""
        before = components.holder.current.version
        try:
            async with components.replacing:
                served = await off_loop(components.holder.load)
        except CLLM4RecError as error:
            raise HTTPException(409, f"{error}; model {before} goes on") from None
        progress.note(f"serving model {served.version}")
        return {"model": {"version": served.version}}

    return router


def health(components: Components) -> APIRouter:
    """Whether the process lives, whether it can answer, and what it has done so far."""
    router = APIRouter()

    @router.get("/healthz", response_model=schemas.StatusResponse)
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "alive"}

    @router.get("/readyz", response_model=schemas.StatusResponse, responses={503: ERRORS[503]})
    async def readyz() -> dict[str, str]:
        """A model is loaded and requests are taken."""
        if components.draining:
            raise HTTPException(503, "shutting down")
        if not components.holder.ready:
            components.holder.revive()  # maybe the only requests until it is ready
            raise HTTPException(503, "the model is still being loaded")
        return {"status": "ready"}

    @router.get("/metrics", responses={401: ERRORS[401]}, response_class=Response)
    def metrics() -> Response:
        """Counters in Prometheus's text format."""
        return Response(components.metrics.page(), media_type="text/plain; version=0.0.4")

    return router


async def _lists(
    body: schemas.RecommendRequest,
    query: ListRequest,
    rows: Any,
    reasons: Any,
    served: Any,
    version: str,
) -> Response:
    def written() -> bytes:
        results = answering.results(body, query, rows, reasons, served)
        note = {} if query.note is None else {"note": query.note}
        return encoded({"model": {"version": version}, "results": results, **note})

    large = sum(len(items) for items, _ in rows) > LARGE
    content = await off_loop(written) if large else written()
    return Response(content, media_type="application/json")


def _found(known: IdMap, external_id: str) -> int:
    try:
        return known.number(external_id)
    except UnknownId as error:
        raise HTTPException(404, str(error)) from None
