"""The REST application: the jobs, catalogues, keys, uploads, webhooks, the page. Imports no torch."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from service import dashboard
from service.key_watch import KeyWatch
from service.operations import build_operations
from service.rest import (
    api_keys,
    catalogues,
    checkpoints,
    comparisons,
    datasets,
    gate_simulations,
    job_results,
    jobs,
    live,
    metrics,
    prometheus,
    studies,
    webhooks,
)
from service.rest.access import SECURITY_SCHEMES, Access
from service.rest.body_limit import BodyLimit
from service.rest.conditional import install_not_modified
from service.rest.head_requests import HeadRequests
from service.rest.json_examples import json_example, put_values_in
from service.rest.parameters import problem
from service.rest.polled_jobs import PolledJobs
from service.rest.problems import ProblemDetails, install_error_handlers
from service.rest.prometheus import Scrapes
from service.rest.query_parameters import refuse_unknown_parameters
from service.rest.request_counts import CountedRequests, RequestCounts
from service.rest.submitted_jobs import SubmittedJobs
from service.settings import Settings

DESCRIPTION = (
    "Bodies are JSON in UTF-8 unless said otherwise. A query parameter that an address does not know is refused, "
    "and so is one that is given twice and is no list: a misspelt filter never lists everything. HEAD is taken wherever "
    "GET is. Every refusal is "
    "`application/problem+json` with a stable `code`; `violations` names the fields at fault."
)
DASHBOARD_FOLDER = Path(dashboard.__file__ or "").parent
HEALTHY = {"status": "ok"}
PAGE_HEADERS = {
    # The page has no inline script or style; a site that frames it could steal a click on "cancel".
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # An upgraded server must not meet the scripts of the one before it.
    "Cache-Control": "no-cache",
}


def create_app(settings: Settings) -> FastAPI:
    """The application on the database and the broker of the settings; it connects when first asked."""
    operations = build_operations(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        operations.close()

    app = FastAPI(
        title="Driftgate",
        version=installed_version("driftgate"),
        summary="On-policy distillation with blockwise policy-drift gating, as jobs.",
        lifespan=lifespan,
        docs_url=None,  # both viewers would load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,  # a redirect would be made of whatever Host the request names
        dependencies=[Depends(refuse_unknown_parameters)],
        webhooks=webhooks.outgoing,
    )
    counts = RequestCounts()
    app.state.operations = operations
    app.state.key_watch = KeyWatch(operations.authenticator)
    app.state.scrapes = Scrapes(operations, counts)
    app.include_router(jobs.router)
    app.include_router(live.router)
    app.include_router(job_results.router)
    app.include_router(gate_simulations.router)
    app.include_router(checkpoints.router)
    app.include_router(comparisons.router)
    app.include_router(studies.router)
    app.include_router(api_keys.router)
    app.include_router(metrics.router)
    app.include_router(datasets.router)
    app.include_router(webhooks.router)
    app.include_router(catalogues.router)
    app.include_router(prometheus.router)
    _add_health(app)
    _add_page(app)
    install_error_handlers(app)
    install_not_modified(app)
    # The last one added sees a request first: who may not ask sends no body.
    app.add_middleware(HeadRequests)
    app.add_middleware(SubmittedJobs, operations=operations)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, streamed=datasets.STREAMED)
    app.add_middleware(PolledJobs, operations=operations)
    app.add_middleware(
        Access,
        authenticator=operations.authenticator,
        limits=operations.limits,
        settings=settings,
    )
    app.add_middleware(CountedRequests, counts=counts)  # what is refused too
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _add_health(app: FastAPI) -> None:
    @app.get(
        "/healthz",
        summary="Whether this process answers",
        tags=["health"],
        responses={200: json_example(HEALTHY)},
    )
    def get_health() -> dict[str, str]:
        """Says nothing about the database or the workers."""
        return HEALTHY


def _add_page(app: FastAPI) -> None:
    app.mount("/static", _PageFiles(directory=DASHBOARD_FOLDER), name="static")

    @app.get("/", include_in_schema=False)
    def get_page() -> FileResponse:
        return FileResponse(DASHBOARD_FOLDER / "index.html", headers=PAGE_HEADERS)


class _PageFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(PAGE_HEADERS)
        return response


def _operations_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for address in schema["paths"].values():
        yield from address.values()


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, and the shape of the errors, which it does not know of."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=DESCRIPTION,
            routes=app.routes,
            webhooks=app.webhooks.routes,
        )
        put_values_in(schema)
        # If only for a query parameter that it does not know.
        for operation in _operations_of(schema):
            operation["responses"].setdefault("400", problem("A bad parameter."))
        details = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = schema["components"]["schemas"]
        schemas |= details.pop("$defs") | {ProblemDetails.__name__: details}
        schema["components"]["securitySchemes"] = SECURITY_SCHEMES
        # An empty requirement beside it: a server without keys asks for none.
        schema["security"] = [{name: []} for name in SECURITY_SCHEMES] + [{}]
        app.openapi_schema = schema
    return app.openapi_schema
