"""A file of known size and sum from an http server that may break off, stall, lie or be hostile.

What has been received stays in a part file beside its validator, so whoever comes next goes on from there
(RFC 9110, range requests with ``If-Range``).  Only a file whose size and SHA-256 are the known ones is ever
handed on, so nothing else a server says has to be believed.
"""

import hashlib
import http.client
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engines.catalogue import Known
from nodes.runtime.errors import UserError

_PIECE = 256 * 1024
# A server slower than this is as good as a dead one: 127 MB would take nine hours.
_SLOWEST = 4096  # bytes a second
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """stall_s: the longest wait for an answer, and the window in which the slowest rate must be kept.

    tries: connections in all.  pause_s: between two.
    """

    stall_s: float = 30.0
    tries: int = 5
    pause_s: float = 2.0


class _BrokenError(Exception):
    """The transfer ended early; what came is kept and the rest may be asked for."""


class _StartAgainError(Exception):
    """What is kept does not fit what the server has now."""


def fetch(url: str, known: Known, part: Path, told: Callable[[int], None], patience: Patience) -> None:
    """Completes ``part`` to the known file, from however much of it is there.

    told: is called with the bytes there are so far.
    Raises UserError where the server cannot be reached, does not have the file, or has another one; the part
    file is then kept where going on could help, else removed.
    """
    why = ""
    whole_in_one = False
    for attempt in range(patience.tries):
        if attempt:
            time.sleep(patience.pause_s)
        have = _size(part)
        try:
            if have != known.bytes:
                whole_in_one = _receive(url, known, part, told, patience.stall_s) == 0
        except _BrokenError as broken:
            why = str(broken)
            continue
        except _StartAgainError as again:
            why = str(again)
            forget(part)
            continue
        if sha256_of(part) == known.sha256:
            _validator(part).unlink(missing_ok=True)
            return
        forget(part)
        why = (
            f"what came is not the known file (SHA-256 is not {known.sha256[:12]}...); nothing of it was kept"
        )
        if whole_in_one:
            break
        # Pieces of two files may have been put together: one from the start to the end will tell.
    have = _size(part)
    kept = f"; {have / 1e6:.1f} MB are kept, the same command goes on from there" if have else ""
    raise UserError(f"{url}: {why}{kept}")


def forget(part: Path) -> None:
    """Removes a part file with its validator."""
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """In hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _receive(url: str, known: Known, part: Path, told: Callable[[int], None], stall_s: float) -> int:
    """Adds to ``part`` until it is complete; returns from where on."""
    have = _size(part)
    if have > known.bytes:
        raise _StartAgainError("more is kept than the file has")
    with _ask(url, have, part, stall_s) as answer:
        start = _first_byte(answer, have)
        if start not in (0, have):
            raise _StartAgainError(f"the server does not go on at byte {have}")
        _check_length(url, answer, start, known)
        if start == 0:
            _validator(part).write_text(answer.headers.get("ETag", ""), encoding="utf-8", errors="replace")
        try:
            with part.open("ab" if start else "wb") as file:
                _copy(url, answer, file, start, known.bytes, told, stall_s)
        except OSError as error:
            raise UserError(f"{part.parent}: cannot be written ({_reason(error)}); make room there") from None
    return start


def _copy(
    url: str, answer: Any, file: Any, have: int, wanted: int, told: Callable[[int], None], stall_s: float
) -> None:
    window, before = time.monotonic(), have
    while have < wanted:
        try:
            piece = answer.read1(_PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(f"the connection broke ({_reason(error)})") from None
        if not piece:
            raise _BrokenError(f"the server stopped after {have} of {wanted} bytes")
        have += len(piece)
        if have > wanted:
            forget(Path(file.name))
            raise UserError(f"{url}: sends more than the {wanted} bytes of the known file; refused")
        file.write(piece)
        told(have)
        now = time.monotonic()
        if now - window >= stall_s:
            if have - before < _SLOWEST * stall_s:
                raise _BrokenError(f"less than {_SLOWEST} bytes a second for {stall_s:g} s")
            window, before = now, have


def _ask(url: str, have: int, part: Path, stall_s: float) -> Any:
    """The answer to a request for what is missing."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "hearsee"}
    validator = _read_validator(part)
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    host = urlsplit(url).netloc
    try:
        opener = urllib.request.build_opener(_Http, _Https, _Redirects)
        return opener.open(urllib.request.Request(url, headers=headers), timeout=stall_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            raise _StartAgainError("the server has no more than is kept") from None
        if error.code in _WORTH_ANOTHER_TRY:
            raise _BrokenError(f"the server answers {error.code} {_reason(error.reason)}") from None
        raise UserError(f"{url}: the server answers {error.code} {_reason(error.reason)}") from None
    except urllib.error.URLError as error:
        raise UserError(
            f"{host}: cannot be reached ({_reason(error.reason)}); without internet, use --mirror FOLDER"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _BrokenError(f"no proper answer ({_reason(error)})") from None


def _first_byte(answer: Any, have: int) -> int:
    if answer.status != 206:
        return 0  # the whole file: ranges are not supported there, or it is another one by now
    unit, _, span = answer.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdecimal() and len(first) < 20 else -1


def _check_length(url: str, answer: Any, start: int, known: Known) -> None:
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and len(length) < 20 and start + int(length) != known.bytes:
        if start:
            raise _StartAgainError(f"the server has {start + int(length)} bytes, {known.bytes} are known")
        raise UserError(f"{url}: the server has {int(length)} bytes, the known file {known.bytes}; refused")


def _validator(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _read_validator(part: Path) -> str:
    """The strong ETag of what is kept; a weak one (``W/``) does not serve for ranges."""
    try:
        text = _validator(part).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text if text.startswith('"') and text.isprintable() and text.isascii() else ""


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:200]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """To http and https only, and never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        wanted = ("https",) if req.type == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in wanted:
            raise UserError(f"{req.full_url}: redirects to {newurl[:200]}; refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Deadline:
    """Cuts a connection whose answer is not there in time: a socket's timeout begins anew with every byte."""

    def getresponse(self) -> http.client.HTTPResponse:
        connected = vars(self)["sock"]
        cut = threading.Timer(connected.gettimeout(), self._cut, [connected])
        cut.daemon = True
        cut.start()
        try:
            answer: http.client.HTTPResponse = super().getresponse()  # type: ignore[misc]
            return answer
        finally:
            cut.cancel()

    @staticmethod
    def _cut(connected: socket.socket) -> None:
        try:
            connected.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # already closed


class _HttpConnection(_Deadline, http.client.HTTPConnection):
    pass


class _HttpsConnection(_Deadline, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_HttpConnection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_HttpsConnection, req)
