"""Many episodes in lock-step, with one batched policy call a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sfbc_core.arrays import checked_count
from sfbc_core.environments import Environments, EnvironmentSource
from sfbc_core.randomness import RandomSource, make_generator


@runtime_checkable
class Agent(Protocol):
    """Whatever acts: (observations (B, obs), a source of randomness) -> actions (B, act).

    One that remembers what it saw in an episode also has ``start(episodes)``, which returns a :class:`Policy`. One that
    wants observations in another precision than float32 says so by an attribute ``observation_dtype``.
    """

    def act(
        self, observations: Float[Tensor, "B obs"], generator: RandomSource | None = None
    ) -> Float[Tensor, "B act"]:
        """One action for each row."""


@runtime_checkable
class Policy(Protocol):
    """What acts in E running episodes, from their start to their end."""

    def step(
        self,
        rows: Int[np.ndarray, " R"],
        observations: Float[Tensor, "R obs"],
        rewards: Float[Tensor, " R"],
        generators: Sequence[torch.Generator],
    ) -> Float[Tensor, "R act"]:
        """The next actions of the episodes that still run.

        Args:
            rows: which of the E episodes these are, from 0.
            observations: what each of them shows now.
            rewards: what the last action brought in each; 0 before the first.
            generators: the source of randomness of each.
        """


class MemorylessPolicy:
    """The policy of an agent whose action depends on nothing but the present observation."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def step(
        self,
        rows: Int[np.ndarray, " R"],
        observations: Float[Tensor, "R obs"],
        rewards: Float[Tensor, " R"],
        generators: Sequence[torch.Generator],
    ) -> Float[Tensor, "R act"]:
        """See :class:`Policy`."""
        return self.agent.act(observations, generators)


def start_policy(agent: Agent, episodes: int) -> Policy:
    """What acts for `agent` in so many new episodes: what its `start` returns, or the agent without a memory."""
    return agent.start(episodes) if hasattr(agent, "start") else MemorylessPolicy(agent)


def observation_dtype(agent: Agent) -> torch.dtype:
    """What an agent wants to see observations in: its attribute of that name, or float32 without one.

    Raises:
        TypeError: the attribute is no dtype of floating-point numbers.
    """
    dtype = getattr(agent, "observation_dtype", torch.float32)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"an agent's observation_dtype must be one such as torch.float64, got {dtype!r}")
    return dtype


@dataclass(frozen=True)
class EpisodeResults:
    """What was earned in each of E episodes."""

    returns: Float[np.ndarray, " E"]  # undiscounted
    lengths: Int[np.ndarray, " E"]  # steps
    final_observations: Float[np.ndarray, "E obs"]  # where each episode ended
    terminated: Bool[np.ndarray, " E"]  # whether it ended by itself, rather than by a time limit


def episode_seed(seed: int, number: int) -> int:
    """The seed of the environment in episode `number` of an evaluation."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def episode_generator(seed: int, number: int) -> torch.Generator:
    """What an agent draws from in episode `number` of an evaluation."""
    return make_generator(seed, "episode", number)


def evaluate(
    agent: Agent,
    task: EnvironmentSource,
    episodes: int,
    seed: int,
    *,
    side_by_side: int | None = None,
    max_steps: int | None = None,
    on_step: Callable[[int], None] | None = None,
) -> EpisodeResults:
    """Run `episodes` episodes, many side by side.

    Episode i is seeded by (seed, i) alone: its environment, and the agent's random draws in it. Its result
    therefore depends on how many run beside it through nothing but the last digits of a batched matrix product, which can
    decide between candidates of nearly equal Q.

    Args:
        agent: see :class:`Agent`.
        task: see :class:`~sfbc_core.environments.EnvironmentSource`. Observations must be 1-D arrays of numbers.
        episodes: number of episodes.
        seed: of the whole evaluation.
        side_by_side: episodes that run at the same time; all by default.
        max_steps: an episode that is not over after so many steps is truncated there. The default is the environment's own
            limit; see :func:`~sfbc_core.environments.step_limit`. An own limit that is shorter still holds.
        on_step: called after every step with the number of episodes that it ended, to show progress.

    Raises:
        TypeError: `task` has no make_env, or that returns no environment with gymnasium's API; the agent's
            `observation_dtype` is none of floating-point numbers, or what it returns is no tensor.
        ValueError: `episodes`, `side_by_side` or `max_steps` is no whole number or less than 1; an environment without a
            limit and no `max_steps`; one environment for several episodes; something else than gymnasium's API asks for, or
            NaN or infinity, from an environment; actions of a wrong shape or that are not finite from the agent.
    """
    episodes = checked_count("episodes", episodes)
    side_by_side = episodes if side_by_side is None else checked_count("side_by_side", side_by_side)
    max_steps = None if max_steps is None else checked_count("max_steps", max_steps)
    parts = [
        _run(agent, task, range(first, min(first + side_by_side, episodes)), seed, max_steps, on_step)
        for first in range(0, episodes, side_by_side)
    ]
    return EpisodeResults(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _run(agent, task, numbers: range, seed: int, max_steps: int | None, on_step) -> tuple[np.ndarray, ...]:
    generators = [episode_generator(seed, number) for number in numbers]
    dtype = observation_dtype(agent)
    kept = np.float64 if dtype == torch.float64 else np.float32  # numpy has no other that would be of use
    with Environments(task, numbers, kept, max_steps) as envs:
        current = envs.reset([episode_seed(seed, number) for number in numbers])
        policy = start_policy(agent, len(numbers))
        returns, lengths = np.zeros(len(numbers)), np.zeros(len(numbers), dtype=np.int64)
        rewards, terminated = np.zeros(len(numbers)), np.zeros(len(numbers), dtype=bool)
        running = np.arange(len(numbers))
        while len(running):
            actions = policy.step(
                running,
                torch.from_numpy(current[running]).to(dtype),
                torch.from_numpy(rewards[running].astype(np.float32)),
                [generators[i] for i in running],
            )
            actions = _checked(actions, len(running), envs.action_shape)
            current[running], rewards[running], ended, cut = envs.step(running, actions)
            returns[running] += rewards[running]
            lengths[running] += 1
            terminated[running] = ended
            before, running = len(running), running[~(ended | cut)]  # what is over costs nothing more
            if on_step is not None:
                on_step(before - len(running))
        return returns, lengths, current, terminated


def _checked(actions: Any, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    if not isinstance(actions, Tensor):
        raise TypeError(f"the agent must answer tensors of observations by a tensor, got {type(actions).__name__}")
    if actions.shape != (rows, *shape):
        raise ValueError(f"the agent must return actions of shape {(rows, *shape)}, got {tuple(actions.shape)}")
    if not torch.isfinite(actions).all():
        raise ValueError("the agent returned actions that are NaN or infinite")
    return actions.detach().cpu().numpy()
