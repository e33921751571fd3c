"""A web server on this machine that can be told to misbehave."""

import gzip
import hashlib
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class FileServer(ThreadingHTTPServer):
    """Serves `files` (path -> bytes), with ETag and ranges.

    Each answer takes one fault off `faults`: a status; "cut" (half, then closed), "stall" (half,
    then nothing), "slow" (in drops), "drop" (closed without a word), "no_range", "wrong_range",
    "cut_weak_etag", "html", "html_unsaid", "empty", "chunked", "short_chunked"; ("to", address) is
    a redirect, ("to", address, "stall") one whose body never ends.
    """

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list = []
        self.requests: list[tuple[str, str | None]] = []  # path, Range
        self.ignores_if_range = False
        self.tags_ranges = True
        self.stopped = threading.Event()
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"{'https' if context else 'http'}://{self.address}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address) -> None:
        """Clients that go away are what the tests want."""

    def close(self) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.path, self.headers["Range"]))
        fault = server.faults.pop(0) if server.faults else None
        if fault == "drop":
            return
        if isinstance(fault, tuple):
            self._head(302, {"Location": fault[1], "Content-Length": str(len(fault) - 2)})
            self.server.stopped.wait(20 * (len(fault) - 2))
        elif isinstance(fault, int):
            self._head(fault, {"Content-Length": "5", "Retry-After": "0"}, b"sorry")
        elif fault == "html":
            self._head(200, {"Content-Type": "text/html"}, b"Please log in")
        elif fault == "html_unsaid":
            self._head(200, {"Content-Length": "9"}, b" \n<html> ")
        elif fault == "empty":
            self._head(200, {"Content-Length": "0"})
        elif self.path not in server.files:
            self._head(404, {"Content-Length": "0"})
        else:
            self._file(server.files[self.path], fault)

    def _head(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _file(self, content: bytes, fault: str | None) -> None:
        server = self.server
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        start, total = 0, len(content)
        wanted = self.headers["Range"]
        fits = self.headers["If-Range"] in (None, tag) or server.ignores_if_range
        if wanted and fault != "no_range" and fits:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= total:
            return self._head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
        headers = {"ETag": f"W/{tag}" if fault == "cut_weak_etag" else tag}
        if start:
            first = start - 10 if fault == "wrong_range" else start
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
            if not server.tags_ranges:
                del headers["ETag"]
        if Path(self.path).suffix == ".gz":
            headers["Content-Encoding"] = "gzip"  # as some servers say of a .tar.gz
        body = content[start:]
        if "gzip" in self.headers.get("Accept-Encoding", "gzip"):
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        if fault in ("chunked", "short_chunked"):
            return self._chunked(headers, body, whole=fault == "chunked")
        self._head(206 if start else 200, {"Content-Length": str(len(body)), **headers})
        if fault in ("cut", "cut_weak_etag", "stall"):
            body = body[: len(body) // 2]
        step = 4096 if fault == "slow" else len(body)
        for place in range(0, len(body), step):
            self.wfile.write(body[place : place + step])
            if fault == "slow":
                time.sleep(0.01)
        if fault == "stall":
            self.wfile.flush()
            self.server.stopped.wait(20)

    def _chunked(self, headers: dict[str, str], body: bytes, whole: bool) -> None:
        self.protocol_version = "HTTP/1.1"
        self._head(200, {"Transfer-Encoding": "chunked", "Connection": "close", **headers})
        for place in range(0, len(body), 10_000):
            piece = body[place : place + 10_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if not whole and place > len(body) / 2:
                return
        self.wfile.write(b"0\r\n\r\n")
