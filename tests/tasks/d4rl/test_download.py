"""Downloads from a local server that misbehaves in every way that we could think of."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

pytest.importorskip("requests", reason="requests is in the extra sfbc-core[d4rl]")
pytest.importorskip("filelock", reason="filelock is in the extra sfbc-core[d4rl]")

from sfbc_core.tasks.d4rl.download import BLOCK, DownloadConfig, DownloadError, download_file

CONTENT = np.random.default_rng(0).bytes(16 * BLOCK)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
QUICK = DownloadConfig(stall=0.3, attempts=3, back_off=0.01)


@dataclass
class Server:
    """How the server is going to answer, and the requests that it got."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    ranges: bool = True
    length: bool = True  # whether the size is announced
    misdeeds: list[str] = field(default_factory=list)  # one for each of the next requests; after them it behaves
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    pause: float = 0.0  # seconds between two blocks


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.requests.append(dict(self.headers))
            misdeed = state.misdeeds.pop(0) if state.misdeeds else ""
            if misdeed.isdecimal():
                self.send_error(int(misdeed))
                return
            start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if state.ranges else 0
            if self.headers.get("If-Range", state.etag) != state.etag:
                start = 0
            if start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.end_headers()
                return
            body = state.content[start:]
            if start:
                self.send_response(206)
                shift = 7 if misdeed == "wrong range" else 0
                end = len(state.content) - 1
                self.send_header("Content-Range", f"bytes {start + shift}-{end}/{len(state.content)}")
            else:
                self.send_response(200)
                self.send_header(
                    "Content-Type", "text/html; charset=utf-8" if misdeed == "page" else "application/x-hdf5"
                )
            if state.length:
                self.send_header("Content-Length", str(len(body)))
            if state.etag:
                self.send_header("ETag", state.etag)
            self.end_headers()
            if misdeed in ("stall", "truncate"):
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                time.sleep(0.8 if misdeed == "stall" else 0)
                return
            for first in range(0, len(body), 20_000):
                self.wfile.write(body[first : first + 20_000])
                time.sleep(state.pause)

        def handle(self):
            try:
                super().handle()
            except OSError:  # a client that was killed, or that has given up on a stall
                pass

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}/data.hdf5"
        yield state
        httpd.shutdown()
        thread.join()


def visible(folder):
    """The files in a folder except the lock, which stays there."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def assert_whole(path):
    assert path.read_bytes() == CONTENT
    assert visible(path.parent) == [path.name], "something was left behind"


def test_a_file_arrives_once(server, tmp_path):
    path = tmp_path / "new" / "data.hdf5"
    for _ in range(2):
        assert download_file(server.url, path, size=len(CONTENT), sha256=DIGEST[:8], config=QUICK) == path
    assert_whole(path)
    assert len(server.requests) == 1


@pytest.mark.parametrize("misdeed", ["stall", "truncate"])
def test_an_interrupted_body_is_continued(server, tmp_path, misdeed):
    server.misdeeds = [misdeed, misdeed]
    assert_whole(download_file(server.url, tmp_path / "data.hdf5", sha256=DIGEST, config=QUICK))
    asked = [request.get("Range") for request in server.requests]
    assert asked == [None, f"bytes={8 * BLOCK}-", f"bytes={12 * BLOCK}-"]
    assert server.requests[1]["If-Range"] == '"one"'


@pytest.mark.parametrize("status", ["500", "503", "429"])
def test_after_a_temporary_error_it_tries_again(server, tmp_path, status):
    server.misdeeds = [status, status]
    assert_whole(download_file(server.url, tmp_path / "data.hdf5", config=QUICK))
    assert len(server.requests) == 3


@pytest.mark.parametrize(("statuses", "asked"), [(["404"] * 9, 1), (["403"] * 9, 1), (["500"] * 9, 3)])
def test_a_permanent_error_is_reported_with_url_and_path(server, tmp_path, statuses, asked):
    server.misdeeds = statuses
    with pytest.raises(DownloadError) as caught:
        download_file(server.url, tmp_path / "data.hdf5", config=QUICK)
    assert len(server.requests) == asked and visible(tmp_path) == []
    for words in (server.url, f"answered {statuses[0]}", str(tmp_path / "data.hdf5")):
        assert words in str(caught.value)


def test_a_server_that_is_not_there_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(DownloadError, match="no answer from the server"):
        download_file("http://127.0.0.1:9/data.hdf5", tmp_path / "data.hdf5", config=QUICK)


def test_a_server_that_cannot_resume_is_given_up_after_some_attempts(server, tmp_path):
    server.ranges, server.misdeeds = False, ["truncate"]
    assert_whole(download_file(server.url, tmp_path / "data.hdf5", sha256=DIGEST, config=QUICK))
    server.misdeeds, server.requests[:] = ["truncate"] * 99, []
    with pytest.raises(DownloadError, match=f"broke off after {8 * BLOCK} bytes"):
        download_file(server.url, tmp_path / "again.hdf5", config=QUICK)
    assert len(server.requests) == 1 + QUICK.attempts  # the first one brought something new


@pytest.mark.parametrize("etag", ['"one"', None, 'W/"weak"'])
def test_a_file_that_changed_in_between_is_not_joined_to_the_old_part(server, tmp_path, etag):
    server.etag, server.misdeeds, server.content = etag, ["truncate", "404"], CONTENT[::-1][:-1]
    with pytest.raises(DownloadError):
        download_file(server.url, tmp_path / "data.hdf5", config=QUICK)
    assert visible(tmp_path) == ["data.hdf5.part", "data.hdf5.part.json"]
    server.content, server.etag = CONTENT, etag and etag.replace("one", "two")
    assert_whole(download_file(server.url, tmp_path / "data.hdf5", sha256=DIGEST, config=QUICK))


def test_the_part_survives_a_web_page_instead_of_the_file(server, tmp_path):
    server.misdeeds, path = ["truncate", "404"], tmp_path / "data.hdf5"
    with pytest.raises(DownloadError, match="404"):
        download_file(server.url, path, config=QUICK)
    server.misdeeds, server.ranges = ["page"], False
    with pytest.raises(DownloadError, match="a web page instead of the file"):
        download_file(server.url, path, config=QUICK)
    server.ranges = True
    assert_whole(download_file(server.url, path, sha256=DIGEST, config=QUICK))
    assert server.requests[-1]["Range"] == f"bytes={8 * BLOCK}-"


def test_a_range_that_does_not_continue_starts_over(server, tmp_path):
    server.misdeeds = ["truncate", "wrong range"]
    assert_whole(download_file(server.url, tmp_path / "data.hdf5", sha256=DIGEST, config=QUICK))
    assert "Range" in server.requests[1] and "Range" not in server.requests[2]


@pytest.mark.parametrize("note", ["{", "[]", '{"url": "http://elsewhere/data.hdf5", "total": 262144}'])
def test_a_part_of_unknown_origin_is_not_continued(server, tmp_path, note):
    (tmp_path / "data.hdf5.part").write_bytes(b"something else")
    (tmp_path / "data.hdf5.part.json").write_text(note)
    assert_whole(download_file(server.url, tmp_path / "data.hdf5", config=QUICK))


def test_a_part_that_was_already_whole_is_only_renamed(server, tmp_path):
    (tmp_path / "data.hdf5.part").write_bytes(CONTENT)
    note = {"url": server.url, "validator": server.etag, "total": len(CONTENT)}
    (tmp_path / "data.hdf5.part.json").write_text(json.dumps(note))
    assert_whole(download_file(server.url, tmp_path / "data.hdf5", sha256=DIGEST, config=QUICK))


def test_a_file_of_unannounced_size_arrives(server, tmp_path):
    server.length = False
    assert_whole(download_file(server.url, tmp_path / "data.hdf5", config=QUICK))


def refuse(path):
    raise ValueError(f"not what was wanted, {path.stat().st_size} bytes")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"sha256": "cd797c38"}, f"begins with cd797c38, got {DIGEST}"),
        ({"size": 9}, f"expected a file of 9 bytes, the server has one of {len(CONTENT)}"),
        ({"check": refuse}, f"not what was wanted, {len(CONTENT)} bytes"),
    ],
)
def test_a_wrong_file_does_not_get_the_name(server, tmp_path, wanted, message):
    with pytest.raises(DownloadError, match=message):
        download_file(server.url, tmp_path / "data.hdf5", config=QUICK, **wanted)
    assert visible(tmp_path) == [], "the bad bytes must not be continued either"


def test_an_unannounced_wrong_size_is_refused(server, tmp_path):
    server.length = False
    with pytest.raises(DownloadError, match=f"expected 9 bytes, got {len(CONTENT)}"):
        download_file(server.url, tmp_path / "data.hdf5", size=9, config=QUICK)
    assert visible(tmp_path) == []


DOWNLOADER = """
import sys
from pathlib import Path
from sfbc_core.tasks.d4rl.download import download_file
print("ready", flush=True)
sys.stdin.readline()
download_file(sys.argv[1], Path(sys.argv[2]))
"""


def start(server, path, processes):
    """Processes that begin to download at the same time, however long their imports take."""
    command = [sys.executable, "-c", DOWNLOADER, server.url, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen(command, **pipes) for _ in range(processes)]
    for process in started:
        assert process.stdout.readline().strip() == b"ready"
    for process in started:
        process.stdin.write(b"\n")
        process.stdin.flush()
    return started


def end(process):
    """Wait for it and close its pipes; its exit code."""
    with process:
        return process.wait(60)


def test_a_killed_download_is_continued(server, tmp_path):
    server.pause, path = 0.1, tmp_path / "data.hdf5"
    (process,) = start(server, path, 1)
    part = tmp_path / "data.hdf5.part"
    deadline = time.monotonic() + 600  # against a process that hangs
    while (not part.exists() or part.stat().st_size == 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    end(process)
    kept = part.stat().st_size
    assert 0 < kept < len(CONTENT) and not path.exists()
    server.pause = 0
    assert_whole(download_file(server.url, path, sha256=DIGEST, config=QUICK))
    assert server.requests[-1]["Range"] == f"bytes={kept}-"


def test_two_processes_download_a_file_once(server, tmp_path):
    server.pause, path = 0.02, tmp_path / "data.hdf5"
    assert [end(process) for process in start(server, path, 2)] == [0, 0]
    assert_whole(path)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("wrong", [{"stall": 0.0}, {"attempts": 0}, {"back_off": -1.0}])
def test_an_impossible_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="expected stall > 0, attempts >= 1"):
        DownloadConfig(**wrong)
