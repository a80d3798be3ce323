"""Questions to the catalog: the server itself, search, package pages."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from icworkshop_gui import __version__
from icworkshop_gui.core.catalog import PackageId, Sort
from icworkshop_gui.registry import schema
from icworkshop_gui.server.rest.desk import Desk, json_answer, package_of, release_of


def catalog_routes(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["catalog"])
    desk.metrics.describe("icw_searches_total", "Searches answered.")
    desk.metrics.describe("icw_search_seconds_total", "Seconds spent on them.")

    @router.get("/server", summary="What this server is, and its limits")
    def server(request: Request) -> Response:
        packages, releases, _ = desk.catalog.totals()
        info = schema.ServerInfo(
            name=desk.config.name,
            software=f"icworkshop-server {__version__}",
            packages=packages,
            releases=releases,
            trackers=desk.addresses(request).trackers,
            max_package_size=desk.config.max_package_size,
            swarm_min_size=desk.config.swarm_min_size,
        )
        return json_answer(schema.server_to_json(info), request)

    @router.get("/search", summary="One page of packages")
    def search(
        request: Request,
        q: Annotated[str, Query(description="Words, each the beginning of one that is found")] = "",
        category: Annotated[str, Query()] = "",
        tag: Annotated[tuple[str, ...], Query(description="Repeatable; all must be there")] = (),
        license: Annotated[tuple[str, ...], Query(description="Repeatable; any will do")] = (),
        publisher: Annotated[str, Query()] = "",
        game_module: Annotated[str, Query()] = "",
        platform: Annotated[str, Query(description="Packages that name no platform run on all")] = "",
        sort: Annotated[str, Query(description=", ".join(Sort))] = "",
        cursor: Annotated[str, Query(description="`next_cursor` of the previous page")] = "",
        limit: Annotated[str, Query(description="Rows, 1 to 200")] = "50",
    ) -> Response:
        # The parameters above are for the documentation; the registry reads them as its client writes them.
        query = schema.search_from_params(request.query_params.multi_items())
        began = time.perf_counter()
        page = desk.catalog.search(query)
        desk.metrics.add("icw_searches_total")
        desk.metrics.add("icw_search_seconds_total", time.perf_counter() - began)
        return json_answer(schema.page_to_json(page), request)

    @router.get("/packages/{publisher}/{name}", summary="The newest release of a package, and all versions")
    def package(request: Request, publisher: str, name: str) -> Response:
        return page(request, package_of(publisher, name), "")

    @router.get("/packages/{publisher}/{name}/{version}", summary="One release, and all versions")
    def release(request: Request, publisher: str, name: str, version: str) -> Response:
        ref = release_of(publisher, name, version)
        return page(request, ref.package, ref.version)

    def page(request: Request, package: PackageId, version: str) -> Response:
        detail = desk.catalog.package(package, version)
        if request.query_params.get("files") == "no":
            detail = replace(detail, release=replace(detail.release, files=()))
        return json_answer(schema.detail_to_json(detail), request)

    return router
