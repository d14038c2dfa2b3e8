"""Times, as the shortest of some tries; and how long each stage of a training of SfBC takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch

from sfbc_core.arrays import checked_count
from sfbc_core.behavior import DiffusionBehavior
from sfbc_core.critic import QCritic
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.trajectories import Trajectories

KeyT = TypeVar("KeyT", bound=Hashable)
FEW, MORE = 2, 8  # gradient steps of two trainings, between which all that comes once cancels


def shortest_times(functions: Mapping[KeyT, Callable[[], Any]], tries: int) -> dict[KeyT, float]:
    """The shortest time of each function in seconds; they are tried in turn, so that a slow moment meets all of them.

    Raises:
        ValueError: fewer than one try, of which no time is the shortest.
    """
    tries = checked_count("tries", tries)
    shortest = dict.fromkeys(functions, float("inf"))
    for _ in range(tries):
        for key, function in functions.items():
            started = time.perf_counter()
            function()
            shortest[key] = min(shortest[key], time.perf_counter() - started)
    return shortest


def random_data(observation_dim: int, action_dim: int, rows: int = 5_000, seed: int = 0) -> Trajectories:
    """Random numbers in episodes of 100 steps, for what depends on sizes alone."""
    draw = torch.Generator().manual_seed(seed)
    last = torch.arange(1, rows + 1) % 100 == 0
    last[-1] = True
    return Trajectories(
        torch.randn(rows, observation_dim, generator=draw),
        torch.rand(rows, action_dim, generator=draw) * 2 - 1,
        torch.randn(rows, generator=draw),
        last,
        torch.zeros(rows, dtype=torch.bool),
    )


def stage_counts(config: SfBCConfig, rows: int) -> dict[str, int]:
    """What SfBC does in each stage of its training on `rows` transitions, in the units of :func:`stage_seconds`.

    Candidates are drawn once, for every `value_every`-th state; with a single iteration there is no plan and none is drawn.
    Q is trained in each iteration, and asked for all candidates after each but the last, whose values no plan needs. Left
    out are the states before a timeout, which have a value as well, and that `held_out_share` and `unknown_share` make an
    epoch shorter.
    """
    states = -(-rows // config.value_every) if config.planning_iterations > 1 else 0
    return {
        "train μ": config.behavior.training.steps_for(rows),
        "draw candidates": states,
        "train Q": config.planning_iterations * config.critic.training.steps_for(rows),
        "ask Q": (config.planning_iterations - 1) * states,
    }


def stage_seconds(config: SfBCConfig, data: Trajectories, states: int = 200, tries: int = 3) -> dict[str, float]:
    """Seconds of a gradient step of μ, of one state's candidates, of a gradient step of Q, and of Q of these candidates.

    Args:
        config: of the sizes; its behavior model is a diffusion model.
        data: of the sizes of the task.
        states: for how many candidates are drawn, as a sample.
        tries: of which the shortest counts.
    """
    generator = torch.Generator().manual_seed(config.seed)
    targets = torch.randn(len(data), generator=generator)

    def behavior_after(steps: int) -> DiffusionBehavior:
        training = replace(config.behavior.training, gradient_steps=steps, epochs=None)
        return DiffusionBehavior(replace(config.behavior, training=training), config.seed).fit(data)

    def critic_after(steps: int) -> QCritic:
        training = replace(config.critic.training, gradient_steps=steps, epochs=None)
        return QCritic(replace(config.critic, training=training), config.seed).fit(data, targets)

    behavior, critic, asked = behavior_after(1), critic_after(1), data.observations[:states]
    candidates = behavior.sample(asked, config.value_candidates)
    trainings = [("train μ", behavior_after), ("train Q", critic_after)]
    functions: dict[Any, Callable[[], Any]] = {
        (stage, steps): partial(learn, steps) for stage, learn in trainings for steps in (FEW, MORE)
    }
    functions["draw candidates"] = partial(behavior.sample, asked, config.value_candidates)
    functions["ask Q"] = partial(critic.q, asked, candidates)
    times = shortest_times(functions, tries)
    found = {stage: (times[stage, MORE] - times[stage, FEW]) / (MORE - FEW) for stage, _ in trainings}
    found |= {stage: times[stage] / len(asked) for stage in ("draw candidates", "ask Q")}
    return {stage: found[stage] for stage in stage_counts(config, len(data))}
