"""What is answered: the page, what is served, and images."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import math
import traceback
from collections.abc import Iterator
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from util.errors import UserError, did_you_mean, shown
from util.images.convert import png_bytes, tensor2im
from util.images.header import Header
from util.images.picture import in_range
from util.images.write import Encoding
from util.serving.limits import Limits, Refused
from util.serving.models import Choice, Run
from util.serving.page import POLICY, page
from util.serving.queue import Job, Made, Queue
from util.serving.uploads import DRAIN_TIMES, NAME, Body, Upload, read_upload

TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "tif": "image/tiff",
         "tiff": "image/tiff"}  # fmt: skip
BROWSERS_SHOW = ("png", "jpeg", "jpg", "webp", "gif", "bmp")
PARAMETERS = ("run", "epoch", "direction", "format", "view")
SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
        "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'"}  # fmt: skip


class Service:
    """The answers to requests.

    Args:
        runs: by their names; the first is used where none is asked for.
        queue: entered.
    """

    def __init__(self, runs: dict[str, Run], queue: Queue, limits: Limits) -> None:
        self.runs, self.queue, self.limits = runs, queue, limits
        self.inside = self.answered = 0

    def app(self, hosts: set[str]) -> ASGIApp:
        """For a server; `hosts` are the names that it may be called by."""
        routes = [Route("/", self.page), Route("/runs", self.tell_runs),
                  Route("/translate", self.translate, methods=["POST", "PUT"])]  # fmt: skip
        handlers = {404: self.nowhere, 405: self.nowhere}
        return Guard(Starlette(routes=routes, exception_handlers=handlers), hosts)

    async def nowhere(self, request: Request, error: Exception) -> Response:
        """What is asked for is not here."""
        told = f"{request.method} {request.url.path}"
        known = "GET / (the page), GET /runs, POST /translate"
        refused = Refused(error.status_code, f"{told[:100]}: not here; accepted: {known}")
        return _told(request, refused)

    async def page(self, request: Request) -> Response:
        """What people look at."""
        return HTMLResponse(page())

    async def tell_runs(self, request: Request) -> Response:
        """What is served, as JSON."""
        runs = [
            {"name": run.name, "epochs": run.epochs(), "directions": run.directions} | run.facts
            for run in self.runs.values()
        ]
        limits = {"bytes": self.limits.bytes, "pixels": self.limits.pixels}
        return JSONResponse({"runs": runs, "limits": limits})

    async def translate(self, request: Request) -> Response:
        """An image, or the one line that says why not."""
        body = Body(request)
        try:
            with self._admitted():
                response = await self._translated(request, body)
            self.answered += 1
            return response
        except ClientDisconnect:
            return Response(status_code=400)  # for nobody
        except Refused as error:
            refused = error
        except UserError as error:
            refused = Refused(400, str(error))
        except Exception as error:
            traceback.print_exception(error)
            refused = Refused(500, "an error of the server; its terminal tells more")
        with contextlib.suppress(ClientDisconnect):
            if refused.status != 408:
                await body.drain(DRAIN_TIMES * self.limits.bytes)
        return _told(request, refused)

    @contextlib.contextmanager
    def _admitted(self) -> Iterator[None]:
        if self.inside >= self.limits.queue:
            retry_s = math.ceil(self.queue.job_s * self.inside / 2)
            told = f"{self.inside} images are at work or wait (--queue); try again in {retry_s} s"
            raise Refused(503, told, retry_s)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def _translated(self, request: Request, body: Body) -> Response:
        asked = dict(request.query_params)
        choice, encoding = self._asked(asked)  # before anything is read
        upload = await read_upload(request, body, self.limits)
        if upload.fields:
            choice, encoding = self._asked(asked := upload.fields | asked)
        made = await self._made(body, Job(choice, upload.data, upload.header.size, NAME))
        extension, content = await asyncio.to_thread(
            made.network.encode, made.image, upload.data, NAME, encoding
        )
        kind = extension.lstrip(".")
        media = TYPES.get(kind, "application/octet-stream")
        if not _wants_json(request):
            timing = (
                f"queue;dur={1000 * made.waited_s:.1f}, network;dur={1000 * made.network_s:.1f}"
            )
            headers = {"Server-Timing": timing,
                       "Content-Disposition": f'inline; filename="translation.{kind}"'}  # fmt: skip
            return Response(content, media_type=media, headers=headers)
        height, width = made.image.shape[-2:]
        told = {
            "run": choice.run.name, "epoch": choice.epoch, "direction": choice.direction,
            "type": media, "extension": kind, "width": width, "height": height,
            "queue_s": round(made.waited_s, 4), "network_s": round(made.network_s, 4),
            "image": base64.b64encode(content).decode(),
        }  # fmt: skip
        if "view" in asked:
            told |= await asyncio.to_thread(_views, made, upload, kind)
        return JSONResponse(told)

    def _asked(self, asked: dict[str, str]) -> tuple[Choice, Encoding | None]:
        for name in asked:
            if name not in PARAMETERS:
                near = did_you_mean(name, PARAMETERS)
                known = ", ".join(PARAMETERS)
                raise Refused(400, f"parameter {name}: accepted: {known}{near}")
        try:
            encoding = Encoding.of(asked["format"]) if asked.get("format") else None
        except ValueError as error:
            raise Refused(400, f"format {error}") from None
        return Choice.of(self.runs, asked), encoding

    async def _made(self, body: Body, job: Job) -> Made:
        """What comes of a job; it is given up if its turn does not come in time, or if nobody waits
        for it any more."""
        self.queue.put(job)
        done = asyncio.wrap_future(job.done)
        gone = asyncio.ensure_future(body.receive())
        left_s: float | None = self.limits.wait_s
        try:
            while not done.done():
                await asyncio.wait({done, gone}, timeout=left_s,
                                   return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
                if done.done():
                    break
                if not job.done.cancel():
                    if gone.done():
                        raise ClientDisconnect
                    left_s = None  # it is at work
                elif gone.done():
                    raise ClientDisconnect
                else:
                    told = f"its turn did not come within {self.limits.wait_s:g} s (--wait_s)"
                    raise Refused(504, f"{NAME}: {told}; try again later", 1)
            return done.result()
        finally:
            gone.cancel()


def _told(request: Request, refused: Refused) -> Response:
    """One line, as text or as JSON."""
    line = " ".join(shown(refused).split())
    if _wants_json(request):
        return JSONResponse({"error": line}, refused.status, refused.headers)
    return PlainTextResponse(f"{line}\n", refused.status, refused.headers)


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _views(made: Made, upload: Upload, kind: str) -> dict[str, str]:
    """8-bit PNGs of what browsers do not show, or not by its range: the source and the result."""
    views = {}
    picture = made.network.decode(upload.data, NAME)
    is_picture = picture.values.dtype in ("uint8", "float32")  # no label map
    if is_picture and not _is_shown(upload.header, upload.header.kind):
        source = in_range(picture.tensor())[None]
        views["source_view"] = base64.b64encode(png_bytes(tensor2im(source))).decode()
    if not _is_shown(upload.header, kind):
        views["view"] = base64.b64encode(png_bytes(tensor2im(made.image))).decode()
    return views


def _is_shown(header: Header, kind: str) -> bool:
    return header.dtype == "uint8" and kind.lower() in BROWSERS_SHOW


class Guard:
    """Around an app: requests by other names than the server's own, or from pages of others, are
    refused, and every answer tells browsers to be careful.

    A page of somebody else may let its own name point to this machine, and then read what is served
    here as its own; but it cannot take a name of the server's.
    """

    def __init__(self, app: ASGIApp, hosts: set[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                safe = [(name.lower().encode(), value.encode()) for name, value in SAFE.items()]
                message = message | {"headers": [*message["headers"], *safe]}
            await send(message)

        refused = self._refused(Request(scope))
        app = PlainTextResponse(f"{refused}\n", 403) if refused else self.app
        await app(scope, receive, send_safely)

    def _refused(self, request: Request) -> str:
        host, origin = (request.headers.get(name, "") for name in ("host", "origin"))
        fetch_site = request.headers.get("sec-fetch-site", "")
        if _name_of(f"//{host}") not in self.hosts:
            known = ", ".join(sorted(self.hosts))
            return f"Host {shown(host)[:100]}: not a name of this server; accepted: {known}; " \
                   "--allow_hosts adds others"  # fmt: skip
        foreign = (origin and origin.partition("//")[2] != host) or fetch_site == "cross-site"
        if request.method != "GET" and foreign:
            return f"Origin {shown(origin)[:100]}: pages of others may not use this server"
        return ""


def _name_of(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
