"""Is it alive, is it ready, and its numbers: for balancers, containers and Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from icworkshop_gui.server.metrics import CONTENT_TYPE
from icworkshop_gui.server.rest.desk import Desk, json_answer, readable


def health_routes(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["health"])

    def health() -> Response:
        """200 as long as the process answers."""
        return json_answer({"status": "draining" if desk.draining else "ok", "workshop": desk.workshop()})

    def ready() -> Response:
        """200 when everything runs, 503 before and while the server ends."""
        checks = desk.checks()
        if desk.draining:
            return json_answer({"status": "draining", "checks": checks}, status=503)
        if not all(checks.values()):
            return json_answer({"status": "starting", "checks": checks}, status=503)
        return json_answer({"status": "ready", "checks": checks})

    for spelling in ("/health", "/healthz"):
        readable(router, spelling, health, "Liveness")
    for spelling in ("/ready", "/readyz"):
        readable(router, spelling, ready, "Readiness")

    @router.get("/metrics", summary="Numbers for Prometheus")
    def metrics() -> Response:
        return Response(desk.metrics.text(), media_type=CONTENT_TYPE)

    return router
