"""Requests that are borne with: redirects, busy servers, https before http."""

import http
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from util.errors import UserError, warn

T = TypeVar("T")
MAX_PAGE_BYTES = 4 << 20
MAX_REDIRECTS = 5
MAX_PAUSE_S = 60.0
PROGRESS = 1 << 20  # bytes after which the tries are counted anew
HTTPS_TRIES = 2  # before http is tried, where both are given
BUSY = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """With a server that fails."""

    tries: int = 5  # in a row, without getting on
    pause_s: float = 1.0  # after the first failure, doubled after each
    timeout_s: float = 30.0  # without a byte


PATIENCE = Patience()


class Again(Exception):
    """This try failed; another may do better."""

    def __init__(self, why: str, wait_s: float = 0.0, reached: bool = True) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.reached = reached


def page(urls: list[str], patience: Patience = PATIENCE) -> bytes:
    """A page, its first 4 MB; UserError if it cannot be had."""

    def attempt(session: requests.Session, url: str) -> bytes:
        with get(session, url, {}, patience) as response:
            check_status(response)
            return read(response, MAX_PAGE_BYTES)

    return persist(attempt, urls, patience)


def shown(url: str) -> str:
    """An address without passwords and tokens."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def persist(
    attempt: Callable[[requests.Session, str], T],
    urls: list[str],
    patience: Patience,
    size: Callable[[], int] = lambda: 0,
) -> T:
    """attempt(session, url), again and again while it raises Again and patience lasts."""
    failures, most = 0, size()
    with _Session() as session:
        while True:
            try:
                return attempt(session, urls[0])
            except Again as failure:
                if size() >= most + PROGRESS:
                    failures, most = 0, size()
                failures += 1
                if failure.reached:
                    urls = urls[:1]
                if len(urls) > 1 and failures >= min(HTTPS_TRIES, patience.tries):
                    warn(_unprotected(urls[0], failure))
                    urls, failures = urls[1:], 0
                    continue
                if failures >= patience.tries:
                    raise UserError(_given_up(urls[0], failure, size())) from None
                pause_s = min(patience.pause_s * 2 ** (failures - 1), MAX_PAUSE_S)
                warn(f"{shown(urls[0])}: {failure}; trying again")
                time.sleep(max(pause_s, min(failure.wait_s, MAX_PAUSE_S)))


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests would read a redirecting answer to its end, however long."""


def _unprotected(url: str, failure: Again) -> str:
    return (
        f"{shown(url)}: {failure}; trying http, whose connection is not protected: others on the "
        "way can change what comes"
    )


def _given_up(url: str, failure: Again, size: int) -> str:
    if size:
        return (
            f"{shown(url)}: {failure}; {size} bytes are kept: the same command goes on from there"
        )
    return f"{shown(url)}: {failure}; look at the connection, try later, or give a --mirror"


def get(
    session: requests.Session, url: str, headers: dict[str, str], patience: Patience
) -> requests.Response:
    """The answer behind all redirects."""
    headers = {"Accept-Encoding": "identity", **headers}
    timeout = (min(patience.timeout_s, 10.0), patience.timeout_s)
    for _ in range(MAX_REDIRECTS + 1):
        try:
            response = session.get(url, headers=headers, stream=True, timeout=timeout)
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise UserError(_distrusted(url)) from None
            raise Again(f"cannot be reached ({_why(error)})", reached=False) from None
        except requests.ConnectionError as error:
            raise Again(f"cannot be reached ({_why(error)})", reached=False) from None
        except requests.Timeout as error:
            raise Again(f"does not answer ({_why(error)})") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise UserError(f"{shown(url)}: not an address ({_why(error)})") from None
        if not response.is_redirect:
            return response
        url = _next(url, response)
    raise UserError(f"{shown(url)}: more than {MAX_REDIRECTS} redirects; give a --mirror")


def _distrusted(url: str) -> str:
    parts = urlsplit(url)
    return (
        f"{parts.scheme}://{parts.netloc}: its certificate is not valid here; behind a company's "
        "proxy set REQUESTS_CA_BUNDLE; to do without protection, "
        f"--mirror http://{parts.netloc}"
    )


def _next(url: str, response: requests.Response) -> str:
    """Where an answer redirects to."""
    response.close()
    target = response.headers["Location"]
    try:
        target = urljoin(url, target)
        scheme = urlsplit(target).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https") or (scheme == "http" and url.startswith("https:")):
        raise UserError(
            f"{shown(url)}: redirects to {ascii(target[:100])}: refused, an unprotected or "
            "foreign kind of address; give a --mirror"
        )
    return target


def _why(error: Exception) -> str:
    """The end of a long chain of causes."""
    found = re.findall(r"\[(?:Errno -?\d+|SSL[^\]]*)\] ([^'\"()<>]+)", str(error))
    return found[-1].strip() if found else type(error).__name__


def check_status(response: requests.Response) -> None:
    code = response.status_code
    if code in (200, 206):
        return
    phrases = {status.value: status.phrase for status in http.HTTPStatus}
    answer = f"answers {code} ({phrases.get(code, 'unknown')})"
    if code in BUSY:
        wait = response.headers.get("Retry-After", "")
        raise Again(answer, float(wait) if re.fullmatch(r"\d{1,6}", wait) else 0.0)
    raise UserError(f"{shown(response.url)}: {answer}; --list shows what the server has")


def read(response: requests.Response, size: int) -> bytes:
    """Bytes as they are sent: an archive is not unpacked on the way."""
    try:
        return response.raw.read(size, decode_content=False)
    except urllib3.exceptions.ReadTimeoutError:
        raise Again("has fallen silent") from None
    except (urllib3.exceptions.HTTPError, OSError):
        raise Again("broke off") from None
