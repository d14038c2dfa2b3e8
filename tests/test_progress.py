"""Progress is a bar for whoever watches and a line a minute in a log, and nothing in between."""

import io
import sys

import pytest
from tqdm import std

from sfbc_core import progress
from sfbc_core.progress import progress_bar


class Clock:
    """Stands in for the time, which passes only when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(std, "time", clock)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    return clock


def run(bar, clock, *, seconds, steps, times):
    with bar:
        for _ in range(times):
            clock.now += seconds
            bar.update(steps)


def test_a_log_gets_a_line_a_minute_and_one_at_the_end(clock, capsys):
    run(progress_bar(1000, "training"), clock, seconds=30, steps=100, times=5)
    assert capsys.readouterr().err.splitlines() == [
        "training: 200 of 1000 steps (20 %), 3.33 steps/s, 01:00 passed, 04:00 left",
        "training: 400 of 1000 steps (40 %), 3.33 steps/s, 02:00 passed, 03:00 left",
        "training: 500 of 1000 steps (50 %), 3.33 steps/s, 02:30 passed, 02:30 left",
    ]


def test_what_an_earlier_run_did_counts_for_the_share_but_not_for_the_speed(clock, capsys):
    run(progress_bar(1000, "training", initial=800), clock, seconds=60, steps=100, times=1)
    line = capsys.readouterr().err.splitlines()[0]
    assert line == "training: 900 of 1000 steps (90 %), 1.67 steps/s, 01:00 passed, 01:00 left"


def test_a_slow_step_is_reported_when_it_ends(clock, capsys):
    run(progress_bar(3, "trials", unit="trials"), clock, seconds=7200, steps=1, times=1)
    line = capsys.readouterr().err.splitlines()[0]
    assert line == "trials: 1 of 3 trials (33 %), 7200.00s/trials, 2:00:00 passed, 4:00:00 left"


def test_a_size_that_is_not_known(clock, capsys):
    run(progress_bar(None, "file", unit="B", scale=True), clock, seconds=60, steps=3_000_000, times=1)
    assert capsys.readouterr().err.startswith("file: 3.00M of ? B")


def test_what_takes_less_than_a_minute_writes_nothing(clock, capsys):
    run(progress_bar(1000, "training"), clock, seconds=1, steps=100, times=10)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_it_can_be_turned_off(clock, capsys, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv("TQDM_DISABLE", "1")
    run(progress_bar(10, "training", enabled=how == "variable"), clock, seconds=90, steps=1, times=10)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(clock, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    run(progress_bar(10, "training", leave=True), clock, seconds=1, steps=5, times=2)
    assert "\rtraining: 100%|##########| 10/10" in terminal.getvalue()


def test_a_notebook_gets_a_bar_of_its_own(monkeypatch):
    made = {}
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(progress.auto, "notebook_tqdm", object())
    monkeypatch.setattr(progress.auto, "tqdm", lambda **options: made.update(options) or std.tqdm(disable=True))
    progress_bar(10, "training")
    assert made["total"] == 10 and made["delay"] > 0
