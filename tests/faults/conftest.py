"""The nightly set of faults (`make faults`), and how it gets into its record.

Every test here has a mark `fault(kind, what is done)` and calls the fixture `outcome` for each try. With `--record FILE`
what came of all tries of a kind becomes a line of the record; failures too. `--kind TEXT` chooses kinds.
"""

from __future__ import annotations

import random
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from sfbc_core.book.faults import record_faults
from sfbc_core.experiments.provenance import provenance_facts
from sfbc_core.files import short

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--record", metavar="FILE", help="the record into which the outcomes of the faults go")
    parser.addoption("--kind", metavar="TEXT", default="", help="only the kinds of fault with this in their name")


def pytest_configure(config):
    path = config.getoption("--record", default=None)
    if path and not hasattr(config, "workerinput"):  # not in the workers of pytest-xdist
        config.pluginmanager.register(Recorder(Path(path)), "recorder of faults")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Every test carries its kind, and of how many it is one, to where its report is read."""
    marks = {item: mark.args for item in items if (mark := item.get_closest_marker("fault"))}
    sizes = Counter(kind for kind, _ in marks.values())
    for item, (kind, done) in marks.items():
        item.user_properties += [("fault", kind), ("done", done), ("of", sizes[kind])]
    wanted = config.getoption("--kind", default="")
    other = [item for item in marks if wanted not in marks[item][0]]
    if other:
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if item not in other]


@pytest.fixture
def outcome(request):
    """Count what came of a try, or of some."""
    return lambda words, times=1: request.node.user_properties.append(("outcome", [words, times]))


@pytest.fixture
def rng(request) -> random.Random:
    """What is random in a test, the same in every run."""
    return random.Random(request.node.name)


class Recorder:
    """Gathers the reports of tests by kind of fault and writes the record at the end."""

    def __init__(self, path: Path) -> None:
        self.path, self.done, self.sizes, self.unwritten = path, {}, {}, []
        self.tests, self.seconds = Counter(), Counter()
        self.outcomes, self.failures = defaultdict(Counter), defaultdict(Counter)

    def pytest_runtest_logreport(self, report):
        facts = dict(report.user_properties)
        if "fault" not in facts:
            return
        kind = facts["fault"]
        self.done[kind], self.sizes[kind] = facts["done"], facts["of"]
        self.seconds[kind] += report.duration
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.failures[kind][short(crash.message if crash else report.longrepr)] += 1
        if report.when == "call" and not report.skipped:
            self.tests[kind] += 1
            for name, value in report.user_properties:
                if name == "outcome":
                    self.outcomes[kind][value[0]] += value[1]

    def line(self, kind: str) -> dict:
        tried = self.outcomes[kind].total() + self.failures[kind].total()
        counts = {"outcomes": dict(self.outcomes[kind]), "failures": dict(self.failures[kind])}
        return {"id": kind, "done": self.done[kind], "tried": tried, **counts, "seconds": round(self.seconds[kind], 1)}

    def pytest_sessionfinish(self):
        facts = provenance_facts("full", 0, 0.0)
        origin = {name: facts[name] for name in ("date", "versions", "machine")} | {"commit": commit()}
        # A part of a kind, or one of which something is not installed here, does not replace the whole.
        whole = [kind for kind in sorted(self.done) if self.tests[kind] == self.sizes[kind] or self.failures[kind]]
        self.unwritten = sorted(self.done.keys() - set(whole))
        if whole:
            record_faults(self.path, [{**self.line(kind), **origin} for kind in whole])

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section(f"faults, recorded in {self.path}")
        for kind in sorted(self.done):
            line = self.line(kind)
            counts = [f"{count} x {words}" for words, count in line["outcomes"].items()]
            counts += [f"{count} x FAILED: {words}" for words, count in line["failures"].items()]
            note = " (not recorded: a part of it was not run)" if kind in self.unwritten else ""
            terminalreporter.line(f"{kind}: tried {line['tried']} in {line['seconds']} s: {'; '.join(counts)}{note}")


def commit() -> str:
    """The commit that was tried, and whether something was changed since."""
    run = {"cwd": ROOT, "capture_output": True, "text": True}
    try:
        head = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], **run, check=True).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "sfbc_core", "tests"], **run, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head} with changes" if changed else head
