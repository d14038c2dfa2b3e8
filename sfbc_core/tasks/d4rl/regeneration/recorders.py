"""Recorders: they produce the rows of a recipe, and can stop and go on later with the same numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

import numpy as np

Columns = dict[str, np.ndarray]  # D4RL's name of a column -> its rows, shape (N, ...)


@runtime_checkable
class Recorder(Protocol):
    """A stream of transitions. From a stored :meth:`state` it goes on with the same bits, also in another process."""

    def record(self, rows: int) -> Columns:
        """The next rows: at least `rows`, or all that are left; none when the recording is complete."""

    def state(self) -> dict[str, Any]:
        """How far the recording is, as values that fit into JSON."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a result of :meth:`state`."""


class EpisodeRecorder(ABC):
    """A recorder of episodes that depend on nothing but the seed and their number, so its state is a number.

    Args:
        seed: the same seed makes the same recording, on the same kind of processor.
        ends: the number of rows up to the end of each part of the recording; the last is the total. An episode is cut off
            where its part ends.
    """

    def __init__(self, seed: int, ends: tuple[int, ...]) -> None:
        self._seed, self._ends = seed, ends
        self._episode = self._rows = 0

    def record(self, rows: int) -> Columns:
        """The next rows, in whole episodes: at least `rows`, or all that are left."""
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
        """One episode of the given part, of at most `longest` rows. A last row that is no terminal will become a timeout."""

    def state(self) -> dict[str, Any]:
        """The number of the next episode, and the number of rows so far."""
        return {"episode": self._episode, "rows": self._rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a result of :meth:`state`."""
        self._episode, self._rows = state["episode"], state["rows"]


def stacked(rows: list[dict[str, Any]], types: dict[str, Any]) -> Columns:
    """Turn a list of rows into columns of the given types."""
    return {name: np.array([row[name] for row in rows], dtype=dtype) for name, dtype in types.items()}
