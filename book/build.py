"""Execute the chapters and build the book.

    python book/build.py --profile quick --jobs 2      # all of it
    python book/build.py --only 03 --no-html           # one chapter, no pages

Papermill runs each chapter in a process of its own and puts it into `_build/stage/`. Chapters in which nothing has changed
are not run again, so an interrupted build goes on where it stopped. The staged book is then turned into HTML, where every
warning is an error. `_build/html` always holds the last build that succeeded.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
import papermill
import yaml
from check_html import toc_pages
from execute import Chapter, Result, execute, fingerprint, staged_result

from sfbc_core.experiments.profiles import PROFILES
from sfbc_core.files import load_json, save_json, save_text

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class BookError(Exception):
    """The book cannot be built; the message is for the author and needs no traceback."""


# ---- chapters -------------------------------------------------------------------------------------------------------


def find_chapters(root: Path, stage: Path, profile: str) -> list[Chapter]:
    """The notebooks in the table of contents. All of them are checked before any is run.

    Raises:
        BookError: an unknown profile, a page that does not exist, or a notebook without a `profile` parameter.
    """
    if profile not in PROFILES:
        raise BookError(f"unknown profile {profile!r}: expected one of {', '.join(PROFILES)}")
    chapters = []
    for name in toc_pages(root / "_toc.yml"):
        source = root / f"{name}.ipynb"
        if source.exists():
            check_parameters(source)
            digest = fingerprint(source, profile, root)
            chapters.append(Chapter(name, source, stage / f"{name}.ipynb", profile, digest))
        elif not (root / f"{name}.md").exists():
            raise BookError(f"_toc.yml lists {name}, but there is neither {name}.ipynb nor {name}.md")
    return chapters


def check_parameters(notebook: Path) -> None:
    """Refuse a notebook in which papermill cannot set `profile`; papermill itself would only warn and go on."""
    cells = nbformat.read(notebook, as_version=4).cells
    if not any("parameters" in cell.metadata.get("tags", []) for cell in cells):
        raise BookError(f"{notebook.name}: no cell has the tag 'parameters'")
    try:
        parameters = papermill.inspect_notebook(str(notebook))
    except ValueError as error:  # no kernel named in the metadata
        raise BookError(f"{notebook.name}: {error}") from error
    if "profile" not in parameters:
        raise BookError(f"{notebook.name}: the cell with the tag 'parameters' does not set 'profile'")


def chapter_environment(folder: Path, jobs: int) -> dict[str, str]:
    """What the processes of the chapters have in their environment, where the user has not set it otherwise.

    Matplotlib has a folder of its own, whose list of fonts is made here, before chapters that run side by side want it: a
    style or a damaged list in the user's folder would show on the pages.
    """
    environment = {"TQDM_DISABLE": "1"}  # a progress bar is for whoever waits, not for the page
    if jobs > 1:  # one thread each, or the chapters fight over the cores
        environment |= dict.fromkeys(THREAD_VARIABLES, "1")
    environment = {name: os.environ.get(name, value) for name, value in environment.items()}
    environment["MPLCONFIGDIR"] = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", "import matplotlib.font_manager"]
    subprocess.run(command, env=os.environ | environment, check=True, stderr=subprocess.DEVNULL)
    return environment


def execute_all(
    chapters: list[Chapter], jobs: int, cell_timeout: int, earlier: dict[str, float], environment: dict[str, str]
) -> list[Result]:
    """Run the chapters that have changed, `jobs` at a time, and report each one when it ends.

    The longest starts first, so that no core is idle while the last one runs. `earlier` has the seconds of earlier builds;
    chapters without any start first, the last one before the others, because later chapters compute more.
    """
    results = [result for chapter in chapters if (result := staged_result(chapter))]
    done = {result.name for result in results}
    todo = [chapter for chapter in reversed(chapters) if chapter.name not in done]
    todo.sort(key=lambda chapter: earlier.get(chapter.name, float("inf")), reverse=True)
    with ProcessPoolExecutor(jobs, initializer=os.environ.update, initargs=(environment,)) as pool:
        for future in as_completed([pool.submit(execute, chapter, cell_timeout) for chapter in todo]):
            results.append(future.result())
            print(f"{'FAILED' if results[-1].error else 'done':8}{results[-1].name}", flush=True)
    return sorted(results, key=lambda result: [chapter.name for chapter in chapters].index(result.name))


# ---- reports --------------------------------------------------------------------------------------------------------


def read_timings(path: Path, profile: str) -> dict[str, float]:
    """The seconds that each chapter took in earlier builds with this profile."""
    return _timings(path).get(profile, {})


def write_timings(path: Path, profile: str, results: list[Result]) -> None:
    """Add the seconds of the chapters that succeeded to the file of timings."""
    timings = _timings(path)
    timings.setdefault(profile, {}).update({result.name: result.seconds for result in results if not result.error})
    save_json(path, timings)


def _timings(path: Path) -> dict[str, dict[str, float]]:
    """The seconds of chapters by profile; none if the file is damaged, because they only decide what runs first."""
    try:
        timings = load_json(path)
        if all(isinstance(s, float | int) for seconds in timings.values() for s in seconds.values()):
            return timings
        print(f"{path} is damaged and is made anew: it must hold seconds", file=sys.stderr)
    except FileNotFoundError:
        pass
    except (ValueError, AttributeError) as error:
        print(f"{path} is damaged and is made anew: {error}", file=sys.stderr)
    return {}


def report(results: list[Result]) -> None:
    """Print a table of seconds, and below it every failure in full."""
    print(f"\n{'chapter':44}{'seconds':>9}")
    for result in results:
        note = "FAILED" if result.error else "unchanged" if result.reused else ""
        print(f"{result.name:44}{result.seconds:9.1f}  {note}")
    for result in results:
        if result.error:
            print(f"\n{result.name} failed {result.error}", file=sys.stderr)


# ---- pages ----------------------------------------------------------------------------------------------------------


def stage_pages(root: Path, stage: Path) -> None:
    """Put the text pages and the configuration, with execution turned off, beside the executed chapters."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["execute"]["execute_notebooks"] = "off"
    save_text(stage / "_config.yml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    shutil.copy(root / "_toc.yml", stage / "_toc.yml")
    shutil.rmtree(stage / "book", ignore_errors=True)
    shutil.copytree(root / "book", stage / "book", ignore=shutil.ignore_patterns("__pycache__"))


def build_html(stage: Path, build: Path) -> None:
    """Build the staged book from scratch, and replace `html` only if there was no warning.

    From scratch, because Sphinx does not repeat the warnings of pages that it finds in its cache.
    """
    work = build / "pages"
    shutil.rmtree(work, ignore_errors=True)
    program = Path(sys.executable).with_name("jupyter-book")  # of the environment that runs this script
    command = [str(program), "build", str(stage), "--path-output", str(work)]
    if subprocess.run([*command, "-W", "-n", "--keep-going"], check=False).returncode:
        raise BookError(f"the pages have warnings or errors, listed above; to look at them: {work / '_build' / 'html'}")
    shutil.rmtree(build / "html", ignore_errors=True)
    os.replace(work / "_build" / "html", build / "html")
    shutil.rmtree(work)


def build_book(
    root: Path, profile: str, jobs: int, only: str = "", html: bool = True, cell_timeout: int = 3600
) -> None:
    """Execute the chapters whose file name starts with `only` and build the pages.

    Raises:
        BookError: a chapter cannot be run or fails, or the pages have warnings.
    """
    stage = root / "_build" / "stage"
    timings = stage / "timings.json"
    chapters = find_chapters(root, stage, profile)
    wanted = [chapter for chapter in chapters if chapter.source.name.startswith(only)]
    if only and not wanted:
        raise BookError(f"no chapter starts with {only!r}: there are {', '.join(c.source.stem for c in chapters)}")
    earlier = read_timings(timings, profile)
    environment = chapter_environment(root / "_build" / "matplotlib", jobs)
    results = execute_all(wanted, jobs, cell_timeout, earlier, environment)
    write_timings(timings, profile, results)
    report(results)
    if any(result.error for result in results):
        raise BookError("not every chapter could be executed; those that could are kept")
    if not html:
        return
    if missing := [chapter.source.stem for chapter in chapters if not chapter.staged.exists()]:
        raise BookError(f"never executed: {', '.join(missing)}; run without --only, or with --no-html")
    stage_pages(root, stage)
    build_html(stage, root / "_build")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Execute the chapters and build the book into _build/html.")
    parser.add_argument("--profile", default="quick", help="how long the chapters compute: smoke, quick or full")
    parser.add_argument("--jobs", type=int, default=2, help="chapters that run side by side (default 2)")
    parser.add_argument("--only", default="", metavar="03", help="execute only the chapters whose file name starts so")
    parser.add_argument("--no-html", action="store_true", help="execute the chapters and stop")
    parser.add_argument(
        "--cell-timeout", type=int, default=3600, metavar="S", help="seconds a cell may take (default 3600)"
    )
    options = parser.parse_args(arguments)
    try:
        build_book(ROOT, options.profile, options.jobs, options.only, not options.no_html, options.cell_timeout)
    except (BookError, OSError) as error:
        print(f"\nbook/build.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
