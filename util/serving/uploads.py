"""An image out of a request: within limits, whole, and looked at before it is decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, TypeVar

import numpy as np
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from util.errors import BadImage, shown
from util.images.header import Header, TooLarge, read_header
from util.serving.limits import Limits, Refused

T = TypeVar("T")
NAME = "the image"  # in messages
FIELD_BYTES = 1000  # of a parameter in a form
FORM_BYTES = 16_384  # that a form has besides its image
DRAIN_S = 5.0  # for what a refused client still sends: else it does not hear the answer
DRAIN_TIMES = 4  # the bytes that are accepted
FORM, BYTES = "multipart/form-data", "application/octet-stream"
KINDS = f"image/*, {BYTES}, or {FORM} with a file"


class Upload(NamedTuple):
    """Args:
    data: an image file.
    header: what it holds.
    fields: parameters that a form has besides.
    """

    data: bytes
    header: Header
    fields: dict[str, str]


class Body:
    """The bytes of a request, as they come.

    Raises:
        ClientDisconnect: from its iteration: nobody waits for an answer any more.
    """

    def __init__(self, request: Request) -> None:
        self.receive, self.ended = request.receive, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.ended:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self.ended = not message.get("more_body", False)
            yield message.get("body", b"")

    async def drain(self, most: int) -> None:
        """Let a client finish that will be refused, within reason."""
        try:
            async with asyncio.timeout(DRAIN_S):
                async for data in self:
                    most -= len(data)
                    if most < 0:
                        return
        except TimeoutError:
            return


async def read_upload(request: Request, body: Body, limits: Limits) -> Upload:
    """The image of a request.

    Raises:
        Refused: there is none, or one that is not accepted.
        ClientDisconnect: whoever sent it has gone.
    """
    kind, options = parse_options_header(request.headers.get("content-type", BYTES))
    kind = kind.decode("latin-1")
    if kind not in (BYTES, FORM) and not kind.startswith("image/"):
        given = shown(kind)[:80]
        raise Refused(415, f"Content-Type {given}: accepted: {KINDS}; curl: -F image=@photo.jpg")
    form = Form(options.get(b"boundary", b""), limits) if kind == FORM else None
    most = limits.bytes + (FORM_BYTES if form else 0)
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise _too_long(limits)
    data = bytearray()
    try:
        async with asyncio.timeout(limits.upload_s):
            async for chunk in body:
                most -= len(chunk)
                if most < 0:
                    raise _too_long(limits)
                if form:
                    form.write(chunk)
                else:
                    data += chunk
    except TimeoutError:
        told = f"the image did not arrive within {limits.upload_s:g} s (--upload_s)"
        raise Refused(408, told) from None
    content, fields = form.finish() if form else (bytes(data), {})
    header = await asyncio.to_thread(_look_at, content)
    limits.check_size(*header.size, header.channels * np.dtype(header.dtype).itemsize)
    return Upload(content, header, fields)


def _look_at(data: bytes) -> Header:
    if not data:
        raise Refused(400, f"no image in the request; accepted: {KINDS}")
    try:
        return read_header(NAME, data)
    except BadImage as error:
        raise Refused(413 if isinstance(error, TooLarge) else 400, str(error)) from None


def _too_long(limits: Limits) -> Refused:
    return Refused(413, f"more than {limits.bytes / 1e6:g} MB; send a smaller file (--max_mb)")


class Form:
    """A form with one file, in memory, as it comes.

    Args:
        boundary: between its parts.
    """

    def __init__(self, boundary: bytes, limits: Limits) -> None:
        self.limits, self.file, self.fields = limits, None, {}
        self._name, self._part = b"", bytearray()
        self._is_file = False
        self._header: list[bytearray] = [bytearray(), bytearray()]
        if not boundary:
            raise Refused(400, f"Content-Type {FORM}: it names no boundary")
        self._whole = False
        calls = {"on_part_begin": self._begin, "on_part_data": self._data, "on_part_end": self._end,
                 "on_header_field": lambda *given: self._add(0, *given),
                 "on_header_value": lambda *given: self._add(1, *given),
                 "on_header_end": self._end_header, "on_end": self._end_form}  # fmt: skip
        self._parser = self._guarded(MultipartParser, boundary, calls)

    @staticmethod
    def _guarded(call: Callable[..., T], *given: object) -> T:
        try:
            return call(*given)
        except Refused:
            raise
        except ValueError as error:  # every error of the parser is one
            raise Refused(400, f"{FORM}: cannot be read ({shown(error)[:200]})") from None

    def write(self, chunk: bytes) -> None:
        """The next bytes."""
        self._guarded(self._parser.write, chunk)

    def finish(self) -> tuple[bytes, dict[str, str]]:
        """The file, and the fields besides."""
        if not self._whole:
            raise Refused(400, f"{FORM}: it ends in the midst of a part")
        if self.file is None:
            raise Refused(400, f"{FORM}: no file in it; curl: -F image=@photo.jpg")
        return self.file, self.fields

    def _begin(self) -> None:
        self._name, self._part, self._is_file = b"", bytearray(), False

    def _add(self, which: int, data: bytes, start: int, end: int) -> None:
        self._header[which] += data[start:end]

    def _end_header(self) -> None:
        name, value = (bytes(each) for each in self._header)
        self._header = [bytearray(), bytearray()]
        if name.lower() == b"content-disposition":
            _, options = parse_options_header(value)
            self._name = options.get(b"name", b"")
            self._is_file = b"filename" in options or self._name == b"image"

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._part += data[start:end]
        if len(self._part) > (self.limits.bytes if self._is_file else FIELD_BYTES):
            raise (
                _too_long(self.limits)
                if self._is_file
                else Refused(
                    400,
                    f"{FORM}: a field of more than {FIELD_BYTES} bytes; the image needs a filename",
                )
            )

    def _end(self) -> None:
        if not self._is_file:
            self.fields[self._name.decode("utf-8", "replace")] = self._part.decode(
                "utf-8", "replace"
            )
        elif self.file is not None:
            raise Refused(400, f"{FORM}: several files; give one a request")
        else:
            self.file = bytes(self._part)
        self._part = bytearray()

    def _end_form(self) -> None:
        self._whole = True
