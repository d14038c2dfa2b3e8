"""Many episodes in lock-step, with one batched policy call a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfbc_core.episodes import EnvironmentSource, LocalEpisodes, WorkerEpisodes
from sfbc_core.randomness import RandomSource, make_generator


@runtime_checkable
class Agent(Protocol):
    """Whatever acts: (observations (B, obs), a source of randomness) -> actions (B, act)."""

    def act(
        self, observations: Float[Tensor, "B obs"], generator: RandomSource | None = None
    ) -> Float[Tensor, "B act"]:
        """One action for each row."""


@dataclass(frozen=True)
class EpisodeResults:
    """What was earned in each of E episodes."""

    returns: Float[np.ndarray, " E"]  # undiscounted
    lengths: Int[np.ndarray, " E"]  # steps
    final_observations: Float[np.ndarray, "E obs"]  # where each episode ended
    terminated: np.ndarray  # (E,) whether it ended by itself, rather than by a time limit


def evaluate(
    agent: Agent,
    task: EnvironmentSource,
    episodes: int,
    seed: int,
    *,
    at_once: int | None = None,
    workers: int | None = None,
) -> EpisodeResults:
    """Run `episodes` episodes, many at once.

    Episode i is seeded by (seed, i) alone: its environment, and the agent's random draws in it. Its result
    therefore depends on how many run beside it through nothing but the last digits of a batched matrix product, which can
    decide between candidates of nearly equal Q. It does not depend on the number of workers at all.

    Args:
        agent: see :class:`Agent`.
        task: see :class:`~sfbc_core.episodes.EnvironmentSource`.
        episodes: number of episodes.
        seed: of the whole evaluation.
        at_once: episodes that run side by side; all by default.
        workers: processes that step the environments, while the agent acts here; by default there is none, and this process
            does everything. They are worth their start, of some seconds, where steps are slow (ant mazes, the kitchen).
            A script that asks for them needs the usual ``if __name__ == "__main__":``.

    Raises:
        ValueError: fewer than one episode or worker, or actions of a wrong shape or that are not finite from the agent.
        RuntimeError: an episode failed in a worker process, or the process died; the message names task, episode and seed.
    """
    if episodes < 1:
        raise ValueError(f"expected at least 1 episode, got {episodes}")
    at_once = episodes if at_once is None else at_once
    if at_once < 1:
        raise ValueError(f"expected at least 1 episode at once, got {at_once}")
    if workers is not None and workers < 1:
        raise ValueError(f"expected at least 1 worker, or None to use this process, got {workers}")
    if workers is None:
        place = LocalEpisodes(task.make_env, seed)
    else:
        place = WorkerEpisodes(task, seed, min(workers, episodes, at_once))
    try:
        parts = [
            _run(agent, place, range(first, min(first + at_once, episodes)), seed)
            for first in range(0, episodes, at_once)
        ]
    finally:
        place.close()
    return EpisodeResults(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _run(agent: Agent, place: LocalEpisodes | WorkerEpisodes, numbers: range, seed: int) -> tuple[np.ndarray, ...]:
    generators = [make_generator(seed, "episode", number) for number in numbers]
    current = place.start(numbers)
    returns, lengths = np.zeros(len(numbers)), np.zeros(len(numbers), dtype=np.int64)
    terminated = np.zeros(len(numbers), dtype=bool)
    running = np.arange(len(numbers))
    while len(running):
        actions = agent.act(torch.from_numpy(current[running]), [generators[i] for i in running])
        actions = _checked(actions, len(running), place.action_shape)
        outcomes = place.step([numbers[i] for i in running], actions)
        current[running] = outcomes.observations
        returns[running] += outcomes.rewards
        lengths[running] += 1
        terminated[running] = outcomes.terminated
        running = running[~(outcomes.terminated | outcomes.truncated)]  # a finished episode costs nothing from here on
    return returns, lengths, current, terminated


def _checked(actions: Tensor, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    if actions.shape != (rows, *shape):
        raise ValueError(f"the agent must return actions of shape {(rows, *shape)}, got {tuple(actions.shape)}")
    if not torch.isfinite(actions).all():
        raise ValueError("the agent returned actions that are NaN or infinite")
    return actions.detach().cpu().numpy()
