"""Run one chapter, or find that nothing has changed since the last run.

An executed chapter carries a fingerprint of all that went into it: the notebook, the profile, this file, and what the
chapter's code uses of the project (`dependencies.py`). As long as the fingerprint is the same, the executed copy is used
again.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
from dependencies import chapter_dependencies

from sfbc_core.files import save_text


@dataclass(frozen=True)
class Chapter:
    """One notebook from the table of contents, and how this build runs it."""

    name: str  # as in _toc.yml: "notebooks/03_few_step_sampling"
    source: Path  # the notebook, without outputs
    staged: Path  # where the executed copy goes
    profile: str
    fingerprint: str  # of everything that the chapter's outputs depend on


@dataclass(frozen=True)
class Result:
    """How the execution of one chapter ended."""

    name: str
    seconds: float
    error: str = ""  # empty, or what went wrong and where
    reused: bool = False


def fingerprint(notebook: Path, profile: str, root: Path) -> str:
    """A digest of everything that a chapter's outputs depend on; `root` is the folder of the project."""
    used = chapter_dependencies(notebook, root)
    digest = hashlib.sha256(profile.encode())
    for path in (notebook, Path(__file__)):
        digest.update(path.read_bytes() + b"\0")
    for path in sorted(used.files):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    digest.update("\n".join(sorted(used.names)).encode())
    return digest.hexdigest()[:16]


def staged_result(chapter: Chapter) -> Result | None:
    """The result of an earlier build, if the chapter was executed then and nothing has changed since."""
    try:
        record = nbformat.read(chapter.staged, as_version=4).metadata["sfbc_build"]
        unchanged = record["fingerprint"] == chapter.fingerprint
        return Result(chapter.name, float(record["seconds"]), reused=True) if unchanged else None
    except (OSError, KeyError, ValueError, TypeError, AttributeError):  # missing, damaged or no notebook: run it
        return None


def execute(chapter: Chapter, cell_timeout: int) -> Result:
    """Run one chapter; only if all of it succeeds, the executed copy replaces the last one."""
    partial = chapter.staged.with_suffix(".partial.ipynb")
    partial.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    try:
        papermill.execute_notebook(
            str(chapter.source),
            str(partial),
            parameters={"profile": chapter.profile},
            kernel_name="python3",
            cwd=str(chapter.source.parent),
            progress_bar=False,
            execution_timeout=cell_timeout,
            extra_arguments=["--log-level=CRITICAL"],  # the kernel warns about local TCP at each start
        )
    except Exception as error:  # a failed cell, a dead kernel, a timeout: all are reported in the same way
        return Result(chapter.name, time.perf_counter() - start, describe(error))
    seconds = round(time.perf_counter() - start, 1)
    notebook = tidy(nbformat.read(partial, as_version=4))
    notebook.metadata["sfbc_build"] = {"fingerprint": chapter.fingerprint, "seconds": seconds}
    save_text(chapter.staged, nbformat.writes(notebook) + "\n")
    partial.unlink()
    return Result(chapter.name, seconds)


def describe(error: Exception) -> str:
    """The failed cell, its code and the traceback, without terminal colors."""
    if isinstance(error, papermill.PapermillExecutionError):
        code = "\n".join(f"    {line}" for line in error.source.splitlines())
        text = "\n".join(error.traceback) or f"{error.ename}: {error.evalue}"
        message = f"in the cell with execution count {error.exec_count}:\n{code}\n{text}"
    else:
        message = f"{type(error).__name__}: {error}"
    return re.sub(r"\x1b\[[0-9;]*m", "", message)


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Fold the cell with the injected profile; drop what differs from run to run and what the page does not use."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags and "hide-cell" not in tags:
            tags.append("hide-cell")
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
    for key in ("papermill", "widgets"):  # paths and times; the state of widgets, for which the page has HTML
        notebook.metadata.pop(key, None)
    return notebook
