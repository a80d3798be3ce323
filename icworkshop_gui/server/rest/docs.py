"""The documentation page: the OpenAPI document as plain HTML. No script, nothing loaded from anywhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
h2{margin-top:2.5rem;border-bottom:1px solid #8886}code{font-family:ui-monospace,monospace}
section{margin:1.25rem 0}h3{margin:0;font-size:1rem}h3 b{display:inline-block;min-width:4rem}
p{margin:.25rem 0 .25rem 4rem}table{margin-left:4rem;border-collapse:collapse}
td{padding:.1rem .75rem .1rem 0;vertical-align:top}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def docs_routes(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": _POLICY})

    return router


def page(document: dict[str, Any]) -> str:
    """HTML of an OpenAPI 3 document."""
    info = document["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>",
        f"<style>{_STYLE}</style><h1>{escape(info['title'])}</h1>",
        f"<p style='margin-left:0'>{escape(info.get('description', ''))} ",
        "The same for programs: <a href='/openapi.json'>openapi.json</a>.</p>",
    ]
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = next(iter(operation.get("tags", [])), "other")
            groups.setdefault(tag, []).append(_operation(path, method, operation))
    for tag, operations in groups.items():
        parts += [f"<h2>{escape(tag)}</h2>", *operations]
    return "".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(field['name'])}</code><td>{escape(field['in'])}"
        f"<td>{escape(field.get('description') or field.get('schema', {}).get('description') or '')}</tr>"
        for field in operation.get("parameters", [])
    )
    words = "".join(
        f"<p>{escape(text)}</p>" for text in (operation.get("summary"), operation.get("description")) if text
    )
    table = f"<table>{rows}</table>" if rows else ""
    return f"<section><h3><b>{escape(method.upper())}</b> <code>{escape(path)}</code></h3>{words}{table}</section>"
