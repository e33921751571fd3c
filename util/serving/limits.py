"""What a server takes, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass

from util.errors import UserError


class Refused(UserError):
    """A request that is answered in one line.

    Args:
        status: of HTTP.
        message: the value, what is accepted, what to do.
        retry_s: after how many seconds the same request may succeed; 0: it will not.
    """

    def __init__(self, status: int, message: str, retry_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"Retry-After": str(retry_s)} if retry_s else {}


@dataclass(frozen=True)
class Limits:
    """Of one server.

    Args:
        bytes, pixels: of an image file.
        queue: requests at a time, from their first byte until they are answered.
        upload_s: seconds that a client may take to send its image.
        wait_s: seconds that an image may wait for its turn.
        batch: images that go through a network together.
        models: networks in memory.
    """

    bytes: int = 20_000_000
    pixels: int = 4_000_000
    queue: int = 64
    upload_s: float = 30.0
    wait_s: float = 60.0
    batch: int = 4
    models: int = 2

    def check_size(self, width: int, height: int, value_bytes: int) -> None:
        """Refuse an image before it is decoded.

        Args:
            value_bytes: of all channels of a pixel.
        """
        most = f"{self.pixels / 1e6:g} million pixels"
        if width * height > self.pixels:
            raise Refused(413, f"the image: {width}x{height} px; accepted: up to {most} (--max_mp)")
        if width * height * value_bytes > 16 * self.pixels:
            raise Refused(
                413,
                f"the image: {width}x{height} px of {value_bytes} bytes each; accepted: up to "
                f"{most} of 16 bytes (--max_mp)",
            )
