"""Where an ant goes wrong: how its states leave the recorded ones over time, how it ends, and what Q moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sfbc_core.evaluation import Agent, evaluate
from sfbc_core.experiments.fidelity import JUDGED, RECORDED, WAYS, some_rows
from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.trial import Trial
from sfbc_core.methods.sfbc import SfBC
from sfbc_core.randomness import RandomSource, make_generator
from sfbc_core.support import DataSupport
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

FOLLOWED = ("behavior alone", "best of 32")
EVERY = 25  # steps between two looks at a state
QUATERNION = slice(3, 7)  # of an ant's observation: (w, x, y, z) of its torso
PUSHED = 500  # states in which the best candidate is held against the others


class Watched:
    """An agent, and the observations of every so many steps of its episodes, as (step, observation)."""

    def __init__(self, agent: Agent, every: int) -> None:
        self.agent, self.every = agent, every
        self.step_number = 0
        self.seen: list[tuple[int, Tensor]] = []

    def act(self, observations: Float[Tensor, "B obs"], generator: RandomSource | None = None) -> Tensor:
        """What the agent does; each call is a step of all episodes that still run."""
        if self.step_number % self.every == 0:
            self.seen += [(self.step_number, one) for one in observations]
        self.step_number += 1
        return self.agent.act(observations, generator)


def upright(observations: Float[np.ndarray, "N obs"]) -> Bool[np.ndarray, " N"]:
    """Whether an ant's torso has its upper side up: the vertical part of its axis, 1 - 2 (x² + y²), is positive."""
    _, x, y, _ = observations[:, QUATERNION].T
    return 1 - 2 * (x**2 + y**2) > 0


def departure_from_the_data(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, Any]:
    """What becomes of an ant that takes any candidate, and of one that takes the best, in the same episodes.

    Returns:
        `ways`, by way to act: `steps`, and of the episodes that still run then the share whose state is `far` from what is
        recorded, as in :class:`~sfbc_core.support.DataSupport` (of held-out states 1 % is); how many episodes ended
        `arrived`, `on its back` or `elsewhere`. `push`: for each coordinate of the action, how far the best candidate lies
        from the mean of its state's, in standard deviations of these, as root mean square over recorded states.
    """
    learned_from, held_out = agent.split(data)
    generator = make_generator(trial.seed, "departure")
    support = DataSupport(some_rows(learned_from, RECORDED, generator), some_rows(held_out, JUDGED, generator))
    ways = {}
    for way in FOLLOWED:
        watched = Watched(agent.acting(**WAYS[way]), EVERY)
        ended = evaluate(watched, task, choose(trial.profile, smoke=2, quick=10, full=100), trial.seed)
        at = np.array([step for step, _ in watched.seen])
        far = support.far_states(torch.stack([one for _, one in watched.seen]))
        ways[way] = {
            "steps": np.unique(at).tolist(),
            "far": shares_by_step(at, far),
            **endings(ended.returns, ended.final_observations),
        }
    rows = torch.randperm(len(data), generator=generator)[:PUSHED]
    candidates, q = agent.candidates(data.observations[rows], agent.config.num_candidates, generator)
    return {"ways": ways, "push": push_of_the_best(candidates, q)}


def endings(returns: Float[np.ndarray, " E"], last: Float[np.ndarray, "E obs"]) -> dict[str, int]:
    """How many ants arrived, and of the others how many were on their backs in the end and how many on their feet."""
    arrived, up = returns > 0, upright(last)
    return {
        "arrived": int(arrived.sum()),
        "on its back": int((~arrived & ~up).sum()),
        "elsewhere": int((~arrived & up).sum()),
    }


def shares_by_step(at: Int[np.ndarray, " N"], far: Bool[np.ndarray, " N"]) -> list[float]:
    """The share of what is far, step by step."""
    return [round(float(far[at == step].mean()), 3) for step in np.unique(at)]


def push_of_the_best(candidates: Float[Tensor, "S M act"], q: Float[Tensor, "S M"]) -> list[float]:
    """How far the candidate of the highest Q lies from the mean, by coordinate, in standard deviations of the candidates.

    Root mean square over states; a candidate that is drawn without a look at Q has 1, up to chance.
    """
    best = candidates[torch.arange(len(q)), q.argmax(1)]
    apart = (best - candidates.mean(1)) / candidates.std(1, correction=0).clamp(min=1e-6)
    return [round(of, 3) for of in apart.square().mean(0).sqrt().tolist()]
