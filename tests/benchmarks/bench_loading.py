"""Loading 2 M transitions of 17 observations and 6 actions: time, and peak of memory as a ratio to the size of the data.

    make benchmark

The other side reads every column as a whole, as D4RL's own loader does, and converts it afterwards. Each load is a process
of its own, whose peak Linux keeps; the sides alternate, and the median is shown. The file is of float64, compressed, with
`next_observations`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from sfbc_core import Trajectories
from sfbc_core.tasks.d4rl.datasets import read_hdf5
from sfbc_core.tasks.d4rl.oddities import rules_for

REPETITIONS = 3
TRANSITIONS = 2_000_000
RULES = rules_for("halfcheetah-medium-expert-v2")


def ours(path: str) -> Trajectories:
    """What load_d4rl does with a file."""
    return read_hdf5(path, RULES)


def usual(path: str) -> Trajectories:
    """All columns first, then the data set."""
    with h5py.File(path) as file:
        columns = {name: column[:] for name, column in file.items()}
    columns.pop("next_observations")
    return Trajectories(**columns)


def write(path: Path) -> None:
    """A file like D4RL's, block by block."""
    rng = np.random.default_rng(0)
    block = 100_000
    with h5py.File(path, "w") as file:
        options = {"dtype": np.float64, "compression": "gzip", "compression_opts": 1, "chunks": (10_000, 17)}
        observations = file.create_dataset("observations", (TRANSITIONS, 17), **options)
        following = file.create_dataset("next_observations", (TRANSITIONS, 17), **options)
        actions = file.create_dataset("actions", (TRANSITIONS, 6), **(options | {"chunks": (10_000, 6)}))
        last = rng.normal(size=17)
        for start in range(0, TRANSITIONS, block):
            states = np.concatenate([last[None], rng.normal(size=(block, 17)).round(2)])
            last = states[-1]
            observations[start : start + block], following[start : start + block] = states[:-1], states[1:]
            actions[start : start + block] = rng.uniform(-1, 1, (block, 6)).round(2)
        file["rewards"] = rng.normal(size=TRANSITIONS)
        file["terminals"] = np.zeros(TRANSITIONS, dtype=bool)
        file["timeouts"] = np.arange(TRANSITIONS) % 1000 == 999


def memory(line: str) -> int:
    """A number of /proc/self/status, in bytes."""
    status = dict(entry.split(":", 1) for entry in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(status[line].split()[0])


def measure(side: str, path: str) -> None:
    """Load once and print seconds and the ratio of the peak to the size of the data."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before, start = memory("VmRSS"), time.perf_counter()
    data = globals()[side](path)
    seconds = time.perf_counter() - start
    size = sum(tensor.numel() * tensor.element_size() for tensor in data.tensors().values())
    print(seconds, (memory("VmHWM") - before) / size)


def main() -> None:
    """Both sides by turns."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.hdf5"
        write(path)
        print(f"{TRANSITIONS} transitions, a file of {path.stat().st_size / 1e6:.0f} MB; median of {REPETITIONS} loads")
        runs: dict[str, list[tuple[float, ...]]] = {"ours": [], "usual": []}
        for _ in range(REPETITIONS):
            for side in runs:
                command = [sys.executable, __file__, side, str(path)]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                runs[side].append(tuple(map(float, output.split())))
    print(f"{'':40s} {'ours':>10s} {'usual':>10s}")
    for column, name in enumerate(("seconds", "peak of memory / size of the data")):
        ours_, usual_ = (statistics.median(run[column] for run in runs[side]) for side in ("ours", "usual"))
        print(f"{name:40s} {ours_:10.2f} {usual_:10.2f}")


if __name__ == "__main__":
    measure(*sys.argv[1:]) if len(sys.argv) > 1 else main()
