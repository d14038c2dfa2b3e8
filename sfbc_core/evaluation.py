"""Many episodes in lock-step, with one batched policy call a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfbc_core.randomness import RandomSource, make_generator


@runtime_checkable
class Agent(Protocol):
    """Whatever acts: (observations (B, obs), a source of randomness) -> actions (B, act)."""

    def act(
        self, observations: Float[Tensor, "B obs"], generator: RandomSource | None = None
    ) -> Float[Tensor, "B act"]:
        """One action for each row."""


@runtime_checkable
class EnvironmentSource(Protocol):
    """Whatever makes fresh environments, such as a task."""

    def make_env(self) -> gymnasium.Env:
        """A new environment with the gymnasium API."""


@dataclass(frozen=True)
class EpisodeResults:
    """What was earned in each of E episodes."""

    returns: Float[np.ndarray, " E"]  # undiscounted
    lengths: Int[np.ndarray, " E"]  # steps
    final_observations: Float[np.ndarray, "E obs"]  # where each episode ended
    terminated: np.ndarray  # (E,) whether it ended by itself, rather than by a time limit


def evaluate(
    agent: Agent, task: EnvironmentSource, episodes: int, seed: int, *, at_once: int | None = None
) -> EpisodeResults:
    """Run `episodes` episodes, many at once.

    Episode i is seeded by (seed, i) alone: its environment, and the agent's random draws in it. Its result
    therefore depends on how many run beside it through nothing but the last digits of a batched matrix product, which can
    decide between candidates of nearly equal Q.

    Args:
        agent: see :class:`Agent`.
        task: see :class:`EnvironmentSource`.
        episodes: number of episodes.
        seed: of the whole evaluation.
        at_once: episodes that run side by side; all by default.

    Raises:
        ValueError: fewer than one episode, or an agent that returns actions of a wrong shape or that are not finite.
    """
    if episodes < 1:
        raise ValueError(f"expected at least 1 episode, got {episodes}")
    at_once = episodes if at_once is None else at_once
    if at_once < 1:
        raise ValueError(f"expected at least 1 episode at once, got {at_once}")
    parts = [
        _run(agent, task, range(first, min(first + at_once, episodes)), seed) for first in range(0, episodes, at_once)
    ]
    return EpisodeResults(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _run(agent: Agent, task: EnvironmentSource, numbers: range, seed: int) -> tuple[np.ndarray, ...]:
    envs = [task.make_env() for _ in numbers]
    generators = [make_generator(seed, "episode", number) for number in numbers]
    try:
        seeds = [int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) for number in numbers]
        current = np.stack([env.reset(seed=s)[0] for env, s in zip(envs, seeds, strict=True)]).astype(np.float32)
        returns, lengths = np.zeros(len(envs)), np.zeros(len(envs), dtype=np.int64)
        terminated = np.zeros(len(envs), dtype=bool)
        running = list(range(len(envs)))
        while running:
            actions = agent.act(torch.from_numpy(current[running]), [generators[i] for i in running])
            actions = _checked(actions, len(running), envs[0].action_space.shape)
            still_running = []
            for i, action in zip(running, actions, strict=True):
                observation, reward, done, truncated, _ = envs[i].step(action)
                current[i] = observation
                returns[i] += float(reward)
                lengths[i] += 1
                terminated[i] = done
                if not (done or truncated):
                    still_running.append(i)
            running = still_running  # a finished episode costs nothing from here on
    finally:
        for env in envs:
            env.close()
    return returns, lengths, current, terminated


def _checked(actions: Tensor, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    if actions.shape != (rows, *shape):
        raise ValueError(f"the agent must return actions of shape {(rows, *shape)}, got {tuple(actions.shape)}")
    if not torch.isfinite(actions).all():
        raise ValueError("the agent returned actions that are NaN or infinite")
    return actions.detach().cpu().numpy()
