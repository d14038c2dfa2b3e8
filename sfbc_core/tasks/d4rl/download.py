"""Download a large file from an unreliable server: interrupted downloads go on, and only complete, checked files remain.

requests and urllib3 do the HTTP and its retries, filelock keeps processes from doing the same twice. Resuming is done here:
pooch, the usual choice for research data, starts an interrupted file again from its first byte.
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

from sfbc_core.configuration import config_dataclass
from sfbc_core.files import load_json, save_json, writing
from sfbc_core.paths import file_to_write, user_path
from sfbc_core.progress import progress_bar

BLOCK = 1 << 14  # bytes read at a time; small, because a block that is cut off by a broken connection is lost
TEMPORARY_ERRORS = (408, 429, 500, 502, 503, 504)  # HTTP status codes after which another attempt may succeed


class DownloadError(OSError):
    """The file could not be downloaded; the message says why, from which URL, and where to put a file fetched by hand."""


@config_dataclass
class DownloadConfig:
    """How patient a download is."""

    stall: float = 30.0  # give a connection up after so many seconds without a byte or an answer
    attempts: int = 5  # give the download up after so many attempts in a row that bring no new bytes
    back_off: float = 1.0  # seconds before the second retry; doubled for each further one, as in urllib3's Retry

    def __post_init__(self) -> None:
        if self.stall <= 0 or self.attempts < 1 or self.back_off < 0:
            raise ValueError(f"expected stall > 0, attempts >= 1 and back_off >= 0, got {self}")


def download_file(
    url: str,
    path: str | os.PathLike,
    *,
    size: int | None = None,
    sha256: str | None = None,
    check: Callable[[Path], object] | None = None,
    config: DownloadConfig | None = None,
) -> Path:
    """Download `url` to `path`, unless `path` exists; an interrupted download goes on where it stopped.

    The bytes go to `path` + ".part". More are added to them only if the server says that the file is still the same one
    (If-Range with its ETag or date, and the total size). The file gets its final name when it is complete and has passed
    all checks; if the server does not announce the size, only the checks can tell whether it is complete. If several
    processes want the same file, the first one downloads it and the others wait. For this a hidden lock file stays in the
    folder.

    Args:
        size: the expected size in bytes, if it is known.
        sha256: the expected digest or its first digits, if it is known.
        check: called with the path of the finished file before that gets its final name; raises ValueError to refuse it.

    Returns:
        `path`.

    Raises:
        DownloadError: the server cannot be reached, has no such file, keeps breaking off, or sent another file.
        OSError: the disk is full or cannot be written to; the bytes so far stay.
    """
    path = user_path(path)
    if path.exists():  # first of all, because the folder may be read-only
        return path
    path = file_to_write(path)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists():  # another process may have put it there while this one waited
            part = _Part(url, path.with_name(f"{path.name}.part"), path)
            _fetch(part, size, config or DownloadConfig())
            _verify(part, size, sha256, check)
            os.replace(part.path, path)
            part.discard()
    return path


@dataclass
class _Part:
    """The bytes so far, and beside them a note (".json") to which version of which file they belong."""

    url: str
    path: Path
    target: Path

    @property
    def note(self) -> Path:
        """The file beside the part that says where the part came from."""
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """The number of bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self) -> dict:
        """What the server said about the file when the download began; empty if that is unknown or the URL was another."""
        try:
            origin = load_json(self.note)
        except (OSError, ValueError):
            return {}
        return origin if origin.get("url") == self.url else {}

    def discard(self) -> None:
        """Remove the part and its note, so that the next attempt starts from the beginning."""
        for path in (self.path, self.note):
            path.unlink(missing_ok=True)

    def failure(self, reason: str) -> DownloadError:
        """An error that says what happened and where to put the file if it is fetched by hand."""
        return DownloadError(
            f"could not download {self.url}: {reason}. "
            f"Try again later, or get the file by hand and put it at {self.target}"
        )


class _StartOver(Exception):
    """The server's file does not fit the part, which has been removed."""


def _fetch(part: _Part, size: int | None, config: DownloadConfig) -> None:
    """Download until the part is complete."""
    # `Retry` handles errors before the first byte of the body, the loop below those after it. If a server asks for a
    # pause of hours, it is ignored: an error helps the user more than a program that seems to hang.
    retry = Retry(
        total=config.attempts - 1,
        backoff_factor=config.back_off,
        status_forcelist=TEMPORARY_ERRORS,
        raise_on_status=False,  # `_ask` looks at the last answer as at any other
        respect_retry_after_header=False,
    )
    most_bytes, failures = part.size, 0
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        while True:
            with _ask(session, part, config) as response:
                try:
                    total = _match_part(response, part, size)
                    if part.size != total:
                        _receive(response, part, total)
                    return
                except requests.RequestException as error:
                    reason = f"the connection broke off after {part.size} bytes ({error})"
                except _StartOver as error:
                    reason = str(error)
            # Only bytes that no earlier attempt had count as progress. Otherwise a server that cannot resume and always
            # breaks off at the same byte would be asked forever.
            failures = 0 if part.size > most_bytes else failures + 1
            most_bytes = max(most_bytes, part.size)
            if failures >= config.attempts:
                raise part.failure(reason)
            time.sleep(config.back_off * 2**failures)


def _ask(session: requests.Session, part: _Part, config: DownloadConfig) -> requests.Response:
    """Request the bytes that are missing; returns an answer with status 200, 206 or 416, all others are errors."""
    # Without compression, so that sizes and ranges count the bytes of the file itself.
    headers = {"Accept-Encoding": "identity"}
    origin = part.origin()
    validator = origin.get("validator")
    if part.size and (validator or origin.get("total")):  # without either, the file could have changed unnoticed
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
        response.close()  # some servers send a notice as if it were the file; the part must survive that
        raise part.failure("the server sent a web page instead of the file")
    return response


def _match_part(response: requests.Response, part: _Part, size: int | None) -> int | None:
    """Make sure that the body follows on the part, or start over; returns the size of the file if the server tells it."""
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
    """Append the body of the answer to the part."""
    if not part.origin():
        # A weak ETag promises equivalent content but not the same bytes.
        etag = response.headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
        save_json(part.note, {"url": part.url, "validator": validator, "total": total})
    with (
        writing(part.path, None if total is None else total - part.size),
        part.path.open("ab") as file,
        progress_bar(total, part.target.name, part.size, unit="B", scale=True, leave=True) as bar,
    ):
        for block in response.iter_content(BLOCK):
            file.write(block)
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())  # or a power cut soon after could leave an empty file under the final name


def _verify(part: _Part, size: int | None, sha256: str | None, check: Callable[[Path], object] | None) -> None:
    """Remove a finished part that is not the expected file, and raise an error."""
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
        part.discard()  # or the next call would find it complete, and wrong again
        raise part.failure(str(error)) from error
