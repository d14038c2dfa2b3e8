"""Download of one large file from a server that may stall, break off or be down: resumed, checked and never half there.

requests and urllib3 do the HTTP and its retries, filelock keeps processes apart. Resuming is done here: pooch, the usual
choice for research data, starts every interrupted file again from its first byte.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import requests
from filelock import FileLock
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sfbc_core.files import load_json, save_json
from sfbc_core.progress import progress_bar

BLOCK = 1 << 14  # bytes read at once; what a broken connection has sent of a block is lost, so it is a small one
PASSING = (408, 429, 500, 502, 503, 504)  # states of a server that may be over in a moment


class DownloadError(OSError):
    """The file could not be had; the message says why, from where, and where to put it by hand."""


@dataclass(frozen=True)
class DownloadConfig:
    """How patient a download is."""

    stall: float = 30.0  # seconds without a byte, or without an answer, after which a connection is given up
    attempts: int = 5  # tries in a row that bring nothing new before the download is given up
    back_off: float = 1.0  # seconds before the second retry; doubled for each further one, as in urllib3's Retry

    def __post_init__(self) -> None:
        if self.stall <= 0 or self.attempts < 1 or self.back_off < 0:
            raise ValueError(f"expected stall > 0, attempts >= 1 and back_off >= 0, got {self}")


def download_file(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    check: Callable[[Path], object] | None = None,
    config: DownloadConfig | None = None,
) -> Path:
    """Download `url` to `path`, unless `path` is there already; what an interrupted call has fetched is kept and continued.

    The bytes go to `path` + ".part". They are continued only if the server says that the file is still the same one
    (If-Range with its ETag or date, and the total size). The file gets its name when it is whole and has passed all checks;
    if the server does not announce its size, only they can tell whether it is. Processes that want the same file wait for
    one another, by a hidden lock file which stays in the folder; the first one downloads.

    Args:
        size: expected size in bytes, where it is known.
        sha256: expected digest, or its first digits, where it is known.
        check: called with the path of the finished file before that gets its name; refuses it by raising ValueError.

    Returns:
        `path`.

    Raises:
        DownloadError: the server is not to be reached, has no such file, keeps breaking off, or sent something else.
    """
    if path.exists():  # before anything is written: the folder may be a read-only one
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists():  # else another process has put it there while this one waited
            part = _Part(url, path.with_name(f"{path.name}.part"), path)
            _fetch(part, size, config or DownloadConfig())
            _verify(part, size, sha256, check)
            os.replace(part.path, path)
            part.discard()
    return path


@dataclass
class _Part:
    """The bytes so far, and beside them (".json") which version of which file they belong to."""

    url: str
    path: Path
    target: Path

    @property
    def note(self) -> Path:
        """The file beside the part that says where the part came from."""
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """Bytes that have come so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self) -> dict:
        """What the server said of the file when the first byte came; empty if that is unknown or was another URL."""
        try:
            origin = load_json(self.note)
        except (OSError, ValueError):
            return {}
        return origin if isinstance(origin, dict) and origin.get("url") == self.url else {}

    def discard(self) -> None:
        """Remove the part and its note: the next attempt begins anew."""
        for path in (self.path, self.note):
            path.unlink(missing_ok=True)

    def failure(self, reason: str) -> DownloadError:
        """The error that says what happened and where the file can be put by hand."""
        return DownloadError(
            f"could not download {self.url}: {reason}. "
            f"Try again later, or get the file by hand and put it at {self.target}"
        )


class _StartOver(Exception):
    """The server's file does not continue the part, which is therefore gone."""


def _fetch(part: _Part, size: int | None, config: DownloadConfig) -> None:
    """Continue the part until it is whole."""
    # Retry covers what happens before the first byte of the body, the loop below what happens after it. A server that asks
    # to be left alone for hours is not waited for: an error that says so helps more than a silent program.
    retry = Retry(
        total=config.attempts - 1,
        backoff_factor=config.back_off,
        status_forcelist=PASSING,
        raise_on_status=False,  # the last answer is judged like any other
        respect_retry_after_header=False,
    )
    most, failures = part.size, 0
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        while True:
            with _ask(session, part, config) as response:
                try:
                    total = _place(response, part, size)
                    if part.size != total:
                        _receive(response, part, total)
                    return
                except requests.RequestException as error:
                    reason = f"the connection broke off after {part.size} bytes ({error})"
                except _StartOver as error:
                    reason = str(error)
            # Only bytes that no earlier try had count as progress: a server that always breaks off at the same place and
            # cannot continue would otherwise be asked for ever.
            failures = 0 if part.size > most else failures + 1
            most = max(most, part.size)
            if failures >= config.attempts:
                raise part.failure(reason)
            time.sleep(config.back_off * 2**failures)


def _ask(session: requests.Session, part: _Part, config: DownloadConfig) -> requests.Response:
    """Request what is missing; an answer of 200, 206 or 416, or an error."""
    # Sizes and ranges count the bytes of the file only if they are not compressed on the way.
    headers = {"Accept-Encoding": "identity"}
    origin = part.origin()
    validator = origin.get("validator")
    if part.size and (validator or origin.get("total")):  # else nothing would tell that the file is still the same
        headers["Range"] = f"bytes={part.size}-"
        if validator:
            headers["If-Range"] = validator
    try:
        response = session.get(part.url, headers=headers, stream=True, timeout=config.stall)
    except requests.RequestException as error:
        raise part.failure(f"no answer from the server ({error})") from error
    if response.status_code not in (
        HTTPStatus.OK,
        HTTPStatus.PARTIAL_CONTENT,
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    ):
        response.close()
        raise part.failure(f"the server answered {response.status_code} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        response.close()  # a notice with the status of a file must not cost the part that is there
        raise part.failure("the server sent a web page instead of the file")
    return response


def _place(response: requests.Response, part: _Part, size: int | None) -> int | None:
    """Settle where the body belongs, which may mean to start over; the total size of the file, where the server says it."""
    origin = part.origin()
    if response.status_code == HTTPStatus.OK:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        part.discard()
    else:
        # "bytes 100-199/200" of a 206, "bytes */200" of a 416
        span, _, length = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        total = int(length) if length.isdecimal() else None
        continues = span.partition("-")[0] == str(part.size) or (span == "*" and total == part.size)
        if not continues or origin.get("total") not in (None, total):
            part.discard()
            raise _StartOver(f"the server does not go on where the download stopped (it sent {span!r} of {length!r})")
    if size is not None and total is not None and total != size:
        part.discard()
        raise part.failure(f"expected a file of {size} bytes, the server has one of {total}")
    return total


def _receive(response: requests.Response, part: _Part, total: int | None) -> None:
    """Append the body to the part."""
    if not part.origin():
        # A weak ETag promises the same meaning, not the same bytes.
        etag = response.headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
        save_json(part.note, {"url": part.url, "validator": validator, "total": total})
    with (
        part.path.open("ab") as file,
        progress_bar(total, part.target.name, part.size, unit="B", scale=True, leave=True) as bar,
    ):
        for block in response.iter_content(BLOCK):
            file.write(block)
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())  # a power cut after the renaming must not leave an empty file under the name


def _verify(part: _Part, size: int | None, sha256: str | None, check: Callable[[Path], object] | None) -> None:
    """Refuse, and remove, a finished part that is not the file that was wanted."""
    try:
        if size is not None and part.size != size:
            raise ValueError(f"expected {size} bytes, got {part.size}")
        if sha256 is not None:
            digest = hashlib.sha256()
            with part.path.open("rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
            if not digest.hexdigest().startswith(sha256):
                raise ValueError(f"expected a file whose sha256 begins with {sha256}, got {digest.hexdigest()}")
        if check is not None:
            check(part.path)
    except ValueError as error:
        part.discard()  # continuing it would give the same bytes again
        raise part.failure(str(error)) from error
