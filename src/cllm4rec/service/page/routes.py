"""The page's routes: HTML from templates, static files, and the map."""

from typing import Any

import numpy as np
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from cllm4rec.config.naming import model_name
from cllm4rec.errors import CLLM4RecError, IntegrityError
from cllm4rec.recommender.queries import MAX_CHARACTERS
from cllm4rec.run import RunDir
from cllm4rec.service import answering
from cllm4rec.service.answering import request_of
from cllm4rec.service.batching import DeadlinePassed, Overloaded
from cllm4rec.service.components import Components
from cllm4rec.service.page.catalogue_map import CatalogueMap
from cllm4rec.service.page.results import Results
from cllm4rec.service.page.static_files import StaticFiles
from cllm4rec.service.schemas import RecommendRequest
from cllm4rec.service.served import ModelHolder, NotReady, Served

STARTS = 8
"""Items that a history may be begun with at a click."""
LISTED = 20
"""Items that are listed where there is no JavaScript."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every page: nothing from elsewhere, no script or style within the page, in no frame."""


def mount_page(app: FastAPI, served: ModelHolder) -> None:
    """Add the web page to a service.

    Args:
        app: the service, with its components in ``app.state.components``.
        served: the model that answers; its run's results are shown.
    """
    app.include_router(page_routes(app.state.components, served))


def page_routes(components: Components, holder: ModelHolder) -> APIRouter:
    """``/``, ``/results``, ``/page/map.json`` and the static files."""
    router = APIRouter(include_in_schema=False)
    static = StaticFiles.read()
    catalogue_map = CatalogueMap(holder.run)
    results = Results(RunDir(holder.run))
    templates = Environment(
        loader=PackageLoader("cllm4rec.service.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    run_name = holder.run.absolute().name

    def page(name: str, status: int = 200, **values: Any) -> Response:
        shown = {"static": static.prefix, "run_name": run_name}
        content = templates.get_template(name).render(**shown, **values)
        return HTMLResponse(content, status, HEADERS)

    def frame(here: str, current: Served) -> dict[str, Any]:
        """What every page says."""
        return {
            "here": here,
            "items": len(current.catalogue.items),
            "users": len(current.dataset.users),
            "version": current.version,
        }

    def loading() -> Response:
        return page("loading.html", 503)

    @router.get("/")
    async def lists(user: str = "") -> Response:
        """The page of lists; with ``?user=`` and no JavaScript, that user's."""
        try:
            current = holder.current
        except NotReady:
            return loading()
        listed, problem = await _listed(user[:512], components, current) if user else ([], "")
        return page(
            "lists.html",
            user=user[:512],
            listed=listed,
            problem=problem,
            starts=_starts(current),
            words=current.words is not None,
            example=await answering.off_loop(lambda: current.example_profile),
            longest_query=MAX_CHARACTERS,
            model=model_name(current.config),
            **frame("lists", current),
        )

    @router.get("/results")
    def shown_results() -> Response:
        """The run's table of results, and its curves."""
        try:
            current = holder.current
        except NotReady:
            return loading()
        try:
            values, problem = results.values(), ""
        except IntegrityError as error:
            values, problem = {"table": None, "curves": []}, str(error)
        return page("results.html", problem=problem, **values, **frame("results", current))

    @router.get("/page/map.json")
    def map_json(request: Request) -> Response:
        """The map of the catalogue, or that it is being drawn."""
        answer = catalogue_map.answer(holder.current)
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if answer.key:
            headers["ETag"] = f'"{answer.key}-{holder.current.version}"'
            if request.headers.get("if-none-match") == headers["ETag"]:
                return Response(status_code=304, headers=headers)
        content = answer.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content = answer.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers=headers, media_type="application/json")

    @router.get("/static/{digest}/{name}")
    async def static_file(digest: str, name: str) -> Response:
        """A style sheet, a module or the icon."""
        answer = static.answer(digest, name)
        if answer is None:
            raise HTTPException(404, "there is no such file")
        return answer

    return router


def _starts(served: Served) -> list[dict[str, Any]]:
    """Some of the best-known items with a title, for a history to begin with."""
    best = np.argsort(-served.catalogue.counts, kind="stable")[: 5 * STARTS].tolist()
    titled = [item for item in best if served.catalogue.titles[item]]
    return [served.catalogue.named(item) for item in titled[:STARTS]]


async def _listed(
    user: str, components: Components, served: Served
) -> tuple[list[dict[str, Any]], str]:
    """A known user's recommendations for the template, or why there are none."""
    try:
        body = RecommendRequest(users=[user], k=LISTED)
        query = request_of(body, served, components.feedback_histories)
        until_s = answering.deadline(components.settings.deadline_s)
        components.batcher.refuse_if_full()
        rows = await answering.ranked(query, served, components.batcher, until_s)
    except CLLM4RecError as error:
        return [], str(error)
    except (DeadlinePassed, Overloaded):
        return [], "the service is busy just now; try again in a moment"
    found = answering.results(body, query, rows, None, served)[0]["items"]
    numbers = rows[0][0].tolist()
    for item, number in zip(found, numbers, strict=True):
        item["title"] = item["title"] or item["item_id"]
        item["about"] = " · ".join(_short_values(served, number))
    return found, ""


def _short_values(served: Served, item: int) -> list[str]:
    """An item's attributes for a line of a list; a description is too long for one."""
    values = served.catalogue.attributes_of(item).values()
    return [value for value in values if value and len(value) <= SHORT]


SHORT = 80
"""Characters of an attribute that stand in a line of a list."""
