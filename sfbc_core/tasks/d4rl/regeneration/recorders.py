"""What every recipe is to the file writer: something that records on from a state that can be written down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

import numpy as np

Columns = dict[str, np.ndarray]  # D4RL's name of a column -> its rows, shape (N, ...)


@runtime_checkable
class Recorder(Protocol):
    """A stream of transitions that goes on from :meth:`state` to the bit, in another process as well."""

    def record(self, rows: int) -> Columns:
        """At least `rows` further rows, or all that are left; none when the recording is complete."""

    def state(self) -> dict[str, Any]:
        """Where the recording is, as JSON can hold it."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where :meth:`state` was."""


class EpisodeRecorder(ABC):
    """A recorder of episodes, of which each follows from the seed and its number alone: those are the whole state.

    Args:
        seed: of the recording.
        ends: after how many rows each part of the recording ends; the last is the number of all rows. An episode that
            reaches the end of its part is cut there.
    """

    def __init__(self, seed: int, ends: tuple[int, ...]) -> None:
        self._seed, self._ends = seed, ends
        self._episode = self._rows = 0

    def record(self, rows: int) -> Columns:
        """At least `rows` further rows of whole episodes, or all that are left."""
        episodes: list[Columns] = []
        until = min(self._rows + rows, self._ends[-1])
        while self._rows < until:
            part = sum(end <= self._rows for end in self._ends)
            seeds = np.random.SeedSequence([self._seed, self._episode])
            columns = self.episode(seeds, part, self._ends[part] - self._rows)
            columns["timeouts"][-1] |= not columns["terminals"][-1]
            episodes.append(columns)
            self._episode += 1
            self._rows += len(columns["rewards"])
        return (
            {name: np.concatenate([columns[name] for columns in episodes]) for name in episodes[0]} if episodes else {}
        )

    @abstractmethod
    def episode(self, seeds: np.random.SeedSequence, part: int, longest: int) -> Columns:
        """One episode of the given part, of at most `longest` rows; its end is flagged as a timeout if it is no terminal."""

    def state(self) -> dict[str, Any]:
        """The number of the next episode, and of rows so far."""
        return {"episode": self._episode, "rows": self._rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where :meth:`state` was."""
        self._episode, self._rows = state["episode"], state["rows"]


def stacked(rows: list[dict[str, Any]], types: dict[str, Any]) -> Columns:
    """Rows, each a dict of one value a column, as columns of the given types."""
    return {name: np.array([row[name] for row in rows], dtype=kind) for name, kind in types.items()}
