"""visdom's server, for this computer only, without network.

    python -m util.visdom_server [--port 8097] [--env_path ~/.visdom] [--fetch]

The scripts of its page are no part of visdom's package. They are fetched once, by npm where it is
installed, into a cache folder; --fetch does only this. Without them runs are recorded, and the page
stays empty. A training that is to be seen in visdom starts this command if no server answers.
"""

import argparse
import getpass
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from util.errors import OneLineParser, UserError, one_line_errors, say, warn
from util.trackers.visdom_assets import fetch, page_folder

PROJECT = Path(__file__).resolve().parent.parent.parent
LOCAL = {"localhost", "127.0.0.1", "::1"}
START_S = 20.0


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Serve until stopped; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        folder = page_folder()
    except ImportError as error:
        raise UserError(f"{error}; README.md has the line that installs visdom") from None
    if args.fetch:
        fetch(folder)
        return 0
    threading.Thread(target=_fetch_or_warn, args=(folder,), daemon=True).start()
    serve(args.port, args.env_path, folder)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = OneLineParser(
        prog="python -m util.visdom_server", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8097)
    parser.add_argument("--env_path", default=str(Path("~/.visdom").expanduser()),
                        help="where the pages of runs are kept")  # fmt: skip
    parser.add_argument("--fetch", action="store_true", help="fetch the page's scripts, and stop")
    return parser


def _fetch_or_warn(folder: Path) -> None:
    try:
        fetch(folder)
    except UserError as error:
        warn(str(error))


def serve(port: int, env_path: str, folder: Path) -> None:
    """Answer on 127.0.0.1, to pages of its own only: visdom itself lets any website post to it.

    Args:
        folder: of the page's template and scripts.
    """
    import tornado.ioloop
    import tornado.web
    from visdom.server import app as visdom_app

    class LocalApplication(visdom_app.Application):
        def find_handler(self, request, **kwargs):
            origin = request.headers.get("Origin")
            names = {_host(f"//{request.host}"), _host(origin) if origin else "localhost"}
            if names <= LOCAL:
                return super().find_handler(request, **kwargs)
            return self.get_handler_delegate(
                request, tornado.web.ErrorHandler, {"status_code": 403}
            )

    places = {"static_path": str(folder), "template_path": str(folder), "autoreload": False}
    visdom_app.tornado_settings.update(places)
    application = LocalApplication(port=port, base_url="", env_path=env_path)
    try:
        application.listen(port, address="127.0.0.1", max_buffer_size=1024**3)
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror}; give another") from None
    say(f"visdom for {getpass.getuser()}: http://127.0.0.1:{port}")
    tornado.ioloop.IOLoop.current().start()


def _host(url: str) -> str | None:
    return urlsplit(url).hostname


def ensure_server(server: str, port: int, log_folder: Path) -> tuple[str, bool]:
    """Start a server if none answers and it would be on this computer.

    Args:
        server: host name, or http://host.
        log_folder: where a started server writes visdom_server.log.

    Returns:
        http://host, and whether that is this computer.

    Raises:
        UserError: no server answers.
    """
    parts = urlsplit(server if "://" in server else f"http://{server}")
    host = parts.hostname or "localhost"
    is_local = host in LOCAL
    if not _answers(host, port):
        if not is_local:
            raise UserError(
                f"no server answers at {host}:{port}; start one there (visdom -port {port}), or "
                f"here: python -m util.visdom_server --port {port}"
            )
        _start(host, port, log_folder / "visdom_server.log")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].split(':')[0]}", is_local


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _start(host: str, port: int, log: Path) -> None:
    """A server that stays when the training ends."""
    command = [sys.executable, "-m", "util.trackers.visdom_server", "--port", str(port)]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_S
    while not _answers(host, port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise UserError(f"its server did not start: see {log}")
        time.sleep(0.1)
    say(f"visdom: started its server; it stays after the training (kill {process.pid} ends it)")


if __name__ == "__main__":
    sys.exit(main())
