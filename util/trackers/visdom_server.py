"""visdom's server, for this computer only, without network.

    python -m util.visdom_server [--port 8097] [--env_path ~/.visdom] [--fetch]

The scripts of its page are no part of visdom's package. They are fetched once, by npm where it is
installed, into a cache folder; --fetch does only this. Without them runs are recorded, and the page
stays empty.
"""

import argparse
import getpass
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

from util.errors import OneLineParser, UserError, one_line_errors, say, warn
from util.trackers.visdom_assets import fetch, page_folder
from util.trackers.visdom_start import LOCAL


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


if __name__ == "__main__":
    sys.exit(main())
