"""A log of the scalars of a trial, losses and scores: a CSV file, and the same for TensorBoard where it is installed."""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sfbc_core.experiments.trial import Trial
from sfbc_core.paths import make_folder
from sfbc_core.scalars import listening

FILE = "scalars.csv"
HEADER = ["name", "step", "value"]


def log_folder(folder: str | os.PathLike, trial: Trial) -> Path:
    """Where the log of a trial is: named so that TensorBoard's list of runs can be read."""
    words = f"{trial.task} {trial.label} seed {trial.seed} {trial.identity}"
    return Path(folder) / re.sub(r"[^\w.=%+-]+", "-", words)


@contextmanager
def scalars_logged(folder: str | os.PathLike | None, trial: Trial) -> Iterator[None]:
    """Write every scalar that is told within this context into the trial's log; no folder, no log.

    A training that was killed tells again what came after its last checkpoint: what is in the log already is not written
    twice. Another value there, as of other code or of another kind of processor, is warned of, and the log is left as it is.

    Raises:
        ValueError: a file of that name is there and is no such log.
        OSError: the log cannot be written.
    """
    if folder is None:
        yield
        return
    here = make_folder(log_folder(folder, trial))
    written, differs = _written(here / FILE), []
    writer = _tensorboard(here)
    with open(here / FILE, "a", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            rows.writerow(HEADER)

        def write(name: str, step: int, value: float) -> None:
            if (name, step) in written:
                if written[name, step] != value and not differs:
                    differs.append(name)
                    warnings.warn(
                        f"{here / FILE} has {written[name, step]} for {name!r} at step {step}, now it is {value}: of "
                        "other code, or another kind of processor. The log stays; remove it to have one of this run alone",
                        stacklevel=2,
                    )
                return
            written[name, step] = value
            rows.writerow([name, step, repr(value)])
            file.flush()  # whoever follows the training sees it, and a kill loses nothing
            if writer is not None:
                writer.add_scalar(name, value, step)
                writer.flush()

        try:
            with listening(write):
                yield
        finally:
            if writer is not None:
                writer.close()


def _written(path: Path) -> dict[tuple[str, int], float]:
    """What is in a log: values by (name, step). A last line that a kill cut short is taken away."""
    if not path.exists():
        return {}
    whole, newline, cut = path.read_bytes().rpartition(b"\n")
    try:
        lines = list(csv.reader(whole.decode("utf-8").splitlines()))
        if lines and lines[0] != HEADER:
            raise ValueError(f"begins with {lines[0]}")
        found = {(name, int(step)): float(value) for name, step, value in lines[1:]}
        if cut:
            if not lines and not ",".join(HEADER).encode().startswith(cut):
                raise ValueError(f"begins with {cut[:80]!r}")
            os.truncate(path, len(whole + newline))
        return found
    except ValueError as error:
        raise ValueError(f"{path} is not a log of scalars, with the columns {', '.join(HEADER)}: {error}") from error


def _tensorboard(folder: Path):
    """What writes TensorBoard's files, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # here: its import takes seconds
    except ImportError:
        return None
    return SummaryWriter(folder)
