"""The property tests again, with many more examples than in `make test`: in a process, which may crash."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly
ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "configs": (
        "configs through JSON and back, and values of other types",
        "test_configuration test_configuration_values",
    ),
    "HDF5 files": ("files of D4RL's and Minari's layout, good, damaged and of any bytes", "tasks/d4rl/test_fuzz"),
    "trajectories": (
        "episodes of any length and end: returns, planned returns, transitions and windows against a plain loop",
        "test_planning test_trajectories test_transitions methods/test_decision_transformer",
    ),
}
DRAWN = [
    pytest.param(files.split(), id=name, marks=pytest.mark.fault(f"drawn by hypothesis, {name}", done))
    for name, (done, files) in GROUPS.items()
]
COUNTS = re.compile(r"(\d+) passing(?: examples?)?, (\d+) failing")  # hypothesis has said it in both ways


@pytest.mark.parametrize("files", DRAWN)
def test_property_tests_hold_for_many_more_examples(files, outcome):
    paths = [str(ROOT / "tests" / f"{file}.py") for file in files]
    options = ["-q", "-p", "no:cacheprovider", "-m", "hypothesis", "--hypothesis-profile=nightly"]
    command = [sys.executable, "-m", "pytest", *options, "--hypothesis-show-statistics", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    passing = sum(int(count) for count, _ in COUNTS.findall(done.stdout))
    if passing:
        outcome("read or computed exactly, or refused in words", passing)
    assert done.returncode == 0, f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-3000:]}"
    assert passing, f"no example was counted in {done.stdout[-3000:]}"
