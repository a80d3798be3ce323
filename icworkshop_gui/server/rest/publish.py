"""Publishing: the archive alone is sent; everything that is said about it is read out of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from icworkshop_gui.core.errors import RegistryError, WorkshopError
from icworkshop_gui.registry import schema
from icworkshop_gui.server.limits import limit_key
from icworkshop_gui.server.publishing import Upload
from icworkshop_gui.server.rest.desk import Desk, error_answer, json_answer
from icworkshop_gui.server.tokens import Grant, Scope

CHECKS_AT_ONCE = 2
"""Uploads whose bytes are checked at the same time; more wait."""
IDLE_SECONDS = 30.0
"""An upload that sends nothing for so long is given up."""
LINGER_SECONDS = 3.0
"""For which a refused upload is still read."""
TELL_STEP = 16 * 1024 * 1024
"""Bytes between two lines about the progress of a check."""
LINES_TYPE = "application/x-ndjson"

log = logging.getLogger("icw.publish")


def publish_routes(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["publish"])
    desk.metrics.describe("icw_publishes_total", "Uploads, by their end.")
    slots = asyncio.Semaphore(CHECKS_AT_ONCE)

    @router.post(
        "/publish",
        summary="Publish a package",
        description=(
            "The body is the `.icpkg` itself, or multipart/form-data with it as the first file. "
            "Needs `Authorization: Bearer <token>`. With `Accept: application/x-ndjson` the answer is a line of "
            "JSON for each check, and at the end one with `event` `done` or `error`."
        ),
    )
    async def publish(request: Request) -> Response:
        if desk.draining:
            raise RegistryError("draining", "the server is about to stop", retry_after=10.0)
        body = Body(request)
        try:
            grant = await authorise(desk, request)
        except RegistryError as error:
            return Lingering(error_answer(error), body)
        chunks = aiter(body)
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            chunks = first_file(request.headers["content-type"], chunks)
        try:
            upload = await desk.publisher.receive(chunks, grant, _length(request))
        except RegistryError as error:
            desk.metrics.add("icw_publishes_total", result=error.code)
            return Lingering(error_answer(error), body)
        if LINES_TYPE in request.headers.get("accept", ""):
            return StreamingResponse(_told(desk, slots, upload, grant), media_type=LINES_TYPE)
        try:
            async with slots:
                result = await asyncio.to_thread(desk.publisher.accept, upload, grant, _silent)
        except RegistryError as error:
            desk.metrics.add("icw_publishes_total", result=error.code)
            raise
        finally:
            upload.path.unlink(missing_ok=True)
        desk.metrics.add("icw_publishes_total", result="accepted")
        return json_answer(schema.publish_to_json(result), status=201)

    return router


class Lingering(Response):
    """A refusal that reads on for a moment: a connection that is closed with unread bytes is reset, and the
    reset may reach the sender before the refusal does."""

    def __init__(self, answer: Response, upload: Body) -> None:
        super().__init__(answer.body, answer.status_code, dict(answer.headers))
        self._upload = upload

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._upload.is_complete:
                    self._upload.is_complete = not (await receive()).get("more_body", False)
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})


async def authorise(desk: Desk, request: Request) -> Grant:
    """Whose token this is. RegistryError for none, a wrong one, one that may not publish, or one too busy."""
    grant = await check_token(desk, request)
    if grant.scope not in (Scope.PUBLISH, Scope.ADMIN):
        raise RegistryError("forbidden_scope", "this token does not publish")
    wait = desk.publish_limit.take(str(grant.id))
    if wait:
        raise RegistryError("rate_limited", "this token published too much within the hour", retry_after=wait)
    return grant


async def check_token(desk: Desk, request: Request) -> Grant:
    """Whose token this is, whatever it may do. RegistryError for none or a wrong one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    host = limit_key(request.client.host if request.client is not None else "")
    grant = None
    if scheme.lower() == "bearer":
        grant = await asyncio.to_thread(desk.tokens.check, token.strip())
    if grant is None:
        wait = desk.guess_limit.take(host)
        if wait:
            raise RegistryError("rate_limited", "too many wrong tokens", retry_after=wait)
        raise RegistryError("unauthorised", "this needs a valid token: Authorization: Bearer <token>")
    return grant


async def first_file(content_type: str, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes of the first part that has a file name, while they arrive. RegistryError for a malformed body."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:  # RFC 2046 §5.1.1
        raise RegistryError("bad_request", "multipart without a boundary")
    found: list[bytes] = []
    header = value = b""
    is_file = is_done = False

    def part_begin() -> None:
        nonlocal is_file
        is_file = False

    def header_field(data: bytes, start: int, end: int) -> None:
        nonlocal header
        header += data[start:end]

    def header_value(data: bytes, start: int, end: int) -> None:
        nonlocal value
        value += data[start:end]

    def header_end() -> None:
        nonlocal header, value, is_file
        if header.lower() == b"content-disposition" and b"filename" in parse_options_header(value)[1]:
            is_file = True
        header = value = b""

    def part_data(data: bytes, start: int, end: int) -> None:
        if is_file and not is_done:
            found.append(data[start:end])

    def part_end() -> None:
        nonlocal is_done
        is_done = is_done or is_file

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": part_begin,
            "on_header_field": header_field,
            "on_header_value": header_value,
            "on_header_end": header_end,
            "on_part_data": part_data,
            "on_part_end": part_end,
        },
    )
    async for chunk in body:
        try:
            parser.write(chunk)
        except Exception as error:  # the parser's own error, or a codec's in a header
            raise RegistryError("bad_request", "a malformed multipart body") from error
        if len(header) + len(value) > 16384:
            raise RegistryError("bad_request", "a part with too long headers")
        for piece in found:
            yield piece
        found.clear()
    if not is_done:
        raise RegistryError("bad_request", "a multipart body without a complete file")


class Body:
    """An upload's bytes as they arrive; knows whether all of them did."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self.is_complete = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """RegistryError when nothing comes for too long, or the sender is gone."""
        while not self.is_complete:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    message = await self._receive()
            except TimeoutError as error:
                raise RegistryError("bad_request", "the upload stood still for too long") from error
            self.is_complete = not message.get("more_body", False)
            if message["type"] == "http.disconnect":
                raise RegistryError("bad_request", "the upload broke off")
            if message.get("body"):
                yield message["body"]


async def _told(desk: Desk, slots: asyncio.Semaphore, upload: Upload, grant: Grant) -> AsyncIterator[bytes]:
    """A line for every check and step, the result last."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[schema.Json | None] = asyncio.Queue()
    told: dict[str, int] = {}

    def tell(check: str, done: int, total: int) -> None:
        if check not in told or done - told[check] >= TELL_STEP or done == total:
            told[check] = done
            line: schema.Json = {"event": "check", "check": check, "done": done, "total": total}
            loop.call_soon_threadsafe(lines.put_nowait, line)

    async def work() -> None:
        try:
            async with slots:
                result = await asyncio.to_thread(desk.publisher.accept, upload, grant, tell)
            desk.metrics.add("icw_publishes_total", result="accepted")
            lines.put_nowait({"event": "done", **schema.publish_to_json(result)})
        except Exception as error:
            code = error.code if isinstance(error, RegistryError) else "internal"
            desk.metrics.add("icw_publishes_total", result=code)
            if not isinstance(error, WorkshopError):
                log.exception("publishing failed")
            body = schema.decode(bytes(error_answer(error).body))
            lines.put_nowait({"event": "error", **body} if isinstance(body, dict) else {"event": "error"})
        finally:
            upload.path.unlink(missing_ok=True)
            lines.put_nowait(None)

    task = asyncio.create_task(work())
    try:
        while (line := await lines.get()) is not None:
            yield schema.encode(line) + b"\n"
    finally:
        await asyncio.shield(task)


def _silent(_check: str, _done: int, _total: int) -> None:
    """Nobody asked."""


def _length(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
