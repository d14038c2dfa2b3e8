"""How far a long computation is: a bar for whoever watches, plain lines for a log."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm import auto, std

LINE_EVERY = 60.0  # seconds between two lines of a log
NOTEBOOK_DELAY = 5.0  # seconds before a notebook shows a bar: what is over sooner leaves no trace in the page
LINE_FORMAT = (
    "{desc}: {n_fmt} of {total_fmt}{unit} ({percentage:.0f} %), {rate_fmt}, {elapsed} passed, {remaining} left"
)


def progress_bar(
    total: int | None,
    label: str,
    initial: int = 0,
    enabled: bool = True,
    *,
    unit: str = "steps",
    scale: bool = False,
    leave: bool = False,
) -> std.tqdm:
    """A tqdm bar on a terminal or in a notebook; where stderr is a file or a pipe, a line a minute.

    Use it as ``with progress_bar(1000, "training") as bar:`` and call ``bar.update(n)`` after n steps. What takes less than
    a minute writes no line at all. The environment variable ``TQDM_DISABLE``, if it is not empty, turns everything off.

    Args:
        total: number of steps; None if it is not known.
        label: what is computed.
        initial: steps that an earlier, interrupted run has done already: they count for the percentage, not for the speed.
        enabled: whether anything is shown.
        unit: what is counted, in the plural.
        scale: whether to write 1.50M instead of 1500000.
        leave: whether a finished bar stays on the screen. Lines always stay.
    """
    options: dict[str, Any] = {
        "total": total,
        "desc": label,
        "initial": initial,
        "unit": f" {unit}",
        "unit_scale": scale,
    }
    if not enabled or os.environ.get("TQDM_DISABLE"):  # which tqdm itself does not look at in notebooks
        return std.tqdm(**options, disable=True)
    if auto.notebook_tqdm is not std.tqdm:
        return auto.tqdm(**options, leave=leave, delay=NOTEBOOK_DELAY)
    if sys.stderr.isatty():
        return std.tqdm(**options, leave=leave)
    return _Lines(**options)


class _Lines(std.tqdm):
    """A progress bar of which each new state is a new line, and which does not redraw anything."""

    monitor_interval = 0  # no thread that looks after slow bars: `miniters` below makes it needless

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **options,
            bar_format=LINE_FORMAT,
            mininterval=LINE_EVERY,
            miniters=0,  # look at the clock at every update, be it by 0: a guess from past speeds could skip hours
            delay=LINE_EVERY,
            leave=False,
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write the present state; tqdm's requests to clear the line (an empty `msg`) have no meaning here."""
        if msg is None:
            line = " ".join(str(self).split()).replace(
                "s/ ", "s/"
            )  # without the padding of tqdm's numbers and of the unit
            self.fp.write(f"{line}\n")
            self.fp.flush()

    def close(self) -> None:
        """Write a last line, if there were others before it."""
        if not self.disable and self.start_t < self.last_print_t:
            self.refresh()
        super().close()
