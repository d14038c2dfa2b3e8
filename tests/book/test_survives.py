"""The page "What it survives" shows what the record holds, and a record that does not hold together ends the build."""

from __future__ import annotations

import json
import shutil
from html import unescape
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from sfbc_core.book.faults import FAULT, read_faults, record_faults
from sfbc_core.experiments.checks import digest_of

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "book" / "results" / "faults.jsonl"
CONFIG = f"""
import sys

sys.path.insert(0, {str(ROOT / "book" / "_ext")!r})
extensions = ["myst_parser", "survives"]
html_theme = "basic"
"""


def line_of(kind="a kill", **changes):
    """A line as `make faults` writes it."""
    facts = {"date": "2026-01-01 00:00 UTC", "versions": "Python 3", "machine": "a box", "commit": "0123456789"}
    counts = {"tried": 8, "outcomes": {"the same <bits>": 7, "refused": 1}, "failures": {}}
    return {"id": kind, "done": "killed & started again", "seconds": 60.0, **counts, **facts, **changes}


@pytest.fixture
def build(tmp_path):
    """Build the page with a record; its text, without tags."""
    (tmp_path / "results").mkdir()
    (tmp_path / "conf.py").write_text(CONFIG)
    shutil.copy(ROOT / "book" / "survives.md", tmp_path / "index.md")

    def run():
        folders = [str(tmp_path / name) for name in (".", ".", "out", "trees")]
        with patch_docutils(), docutils_namespace():
            app = Sphinx(*folders, "html", warningiserror=True, freshenv=True, status=None, warning=None)
            app.build()
        assert app.statuscode == 0, "the page has warnings"
        page = unescape((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
        return page.replace("’", "'")  # Sphinx sets typographic ones

    run.record = tmp_path / "results" / "faults.jsonl"
    return run


@pytest.mark.slow
def test_the_page_shows_every_line_of_the_record(build):
    shutil.copy(RECORD, build.record)
    page = build()
    lines = read_faults(RECORD)
    for line in lines:
        assert f"{line['id']}: {line['done']}" in page and f"<p>{line['tried']}</p>" in page
        for words, count in line["outcomes"].items():
            assert f"{count} × {words}" in page
    for name in ("commit", "versions", "machine"):
        assert all(line[name] in page for line in lines)
    dates = sorted(line["date"] for line in lines)
    assert dates[0] in page and dates[-1] in page
    assert f"tried: {sum(line['tried'] for line in lines)} times in {len(lines)} kinds" in page


@pytest.mark.slow
def test_failures_are_shown_and_a_record_that_was_edited_ends_the_build(build):
    record_faults(build.record, [line_of("b", tried=9, failures={"other bits": 1}), line_of("a", commit="abc")])
    page = build()
    assert page.index("a: killed & started again") < page.index("b: killed & started again")
    assert "1 × failed: other bits" in page and "7 × the same <bits>" in page
    assert "commit: abc; 0123456789" in page and "tried: 17 times in 2 kinds of faults" in page
    build.record.write_text(build.record.read_text().replace('"refused": 1', '"refused": 2', 1))
    with pytest.raises(Exception, match=r"line 1 of .*faults\.jsonl was changed since it was written"):
        build()


def test_the_record_in_the_book_is_good_and_nothing_in_it_failed():
    lines = read_faults(RECORD)
    assert lines and not any(line["failures"] for line in lines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tried": 9}, "'a kill' was tried 9 times, but has 8 outcomes"),
        ({"tried": 0, "outcomes": {}}, "was tried 0 times, but has 0 outcomes"),
        ({"outcomes": {"fine": 8.0}}, r"counted by positive whole numbers, got \[8\.0\]"),
        ({"outcomes": {"fine": 9, "worse": -1}}, "positive whole numbers"),
        ({"outcomes": ["fine"]}, "is no record of a fault"),
    ],
)
def test_counts_that_do_not_add_up_are_refused(changes, message, tmp_path):
    path = tmp_path / "faults.jsonl"
    line = line_of(**changes)
    with pytest.raises(ValueError, match=r"faults\.jsonl was not written to"):
        record_faults(path, [line])
    assert not path.exists()
    path.write_text(json.dumps({**line, "digest": digest_of(line)}) + "\n")
    with pytest.raises(ValueError, match=rf"line 1 of .*faults\.jsonl is no record of a fault: .*{message}|{message}"):
        read_faults(path)


def test_a_kind_that_was_tried_again_replaces_its_line_alone(tmp_path):
    path = tmp_path / "faults.jsonl"
    record_faults(path, [line_of("b"), line_of("a")])
    record_faults(path, [line_of("b", commit="new")])
    assert [(line["id"], line["commit"]) for line in read_faults(path)] == [("a", "0123456789"), ("b", "new")]
    for name in FAULT:
        rest = {key: value for key, value in line_of().items() if key != name}
        path.write_text(json.dumps({**rest, "digest": digest_of(rest)}) + "\n")
        with pytest.raises(ValueError, match=f"is no record of a fault: it lacks {name}"):
            read_faults(path)
    with pytest.raises(FileNotFoundError, match=r"no record of faults in .*none\.jsonl: make it with `make faults`"):
        read_faults(tmp_path / "none.jsonl")
