"""What is measured of the many drivers of the Bidirectional-Car, and of those that play the bandit: JSON, as for others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfbc_core.evaluation import Policy, evaluate, start_policy
from sfbc_core.experiments.action_maps import action_map
from sfbc_core.experiments.measurements import rounded
from sfbc_core.experiments.trial import Trial
from sfbc_core.methods import Method
from sfbc_core.randomness import make_generator
from sfbc_core.support import DataSupport
from sfbc_core.tasks import two_way_bandit
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

POSITIONS, SPEEDS = np.linspace(-10, 10, 41), np.linspace(0, 5, 21)  # of the map of throttles
MIDDLE = [[0.0, speed] for speed in (0.5, 2.0, 3.5)]  # states in which both directions are equally good
DRAWS = 100  # throttles in each of them
ASKED = 300  # recorded states of each kind in which a driver is asked for a throttle
FAST = 3.0  # above this speed only two of the four recorded drivers have been
WATCHED = 20  # episodes of which every step is held against the data
HELD_OUT_SEED = 1000  # plus the trial's: of data that no trial learns from
PLAYED = 500  # actions of the bandit


class Watched:
    """An agent in an evaluation, with all that it saw and did.

    Attributes:
        states, actions: of every step, in the order of the steps.
    """

    def __init__(self, agent: Method) -> None:
        self.agent = agent
        self.states: list[Float[Tensor, "R obs"]] = []
        self.actions: list[Float[Tensor, "R act"]] = []

    def act(self, observations: Float[Tensor, "B obs"], generator: Any = None) -> Float[Tensor, "B act"]:
        """What the agent does without a memory; not kept."""
        return self.agent.act(observations, generator)

    def start(self, episodes: int) -> Policy:
        """See :func:`~sfbc_core.evaluation.start_policy`."""
        self.policy = start_policy(self.agent, episodes)
        return self

    def step(
        self, rows: Int[np.ndarray, " R"], observations: Float[Tensor, "R obs"], *rest: Any
    ) -> Float[Tensor, "R act"]:
        """See :class:`~sfbc_core.evaluation.Policy`, which has the `rest`."""
        actions = self.policy.step(rows, observations, *rest)
        self.states.append(observations)
        self.actions.append(actions)
        return actions


def parameters(trial: Trial, agent: Method, task: Task, data: Trajectories) -> int:
    """Numbers that acting needs: those in the saved agent, the scales of its inputs among them."""
    return sum(tensor.numel() for model in agent.models().values() for tensor in model.tensors().values())


def throttle_map(trial: Trial, agent: Method, task: Task, data: Trajectories) -> list[list[float]]:
    """The throttle in every state of a grid, one row a speed of `SPEEDS`; of a method with a memory its first action."""
    return rounded(action_map(agent, POSITIONS, SPEEDS, make_generator(trial.seed, "map")), 2)


def throttle_in_the_middle(trial: Trial, agent: Method, task: Task, data: Trajectories) -> list[list[float]]:
    """`DRAWS` throttles in each of the states of `MIDDLE`."""
    states = torch.tensor(MIDDLE).repeat_interleave(DRAWS, 0)
    throttle = agent.act(states, make_generator(trial.seed, "middle"))[:, 0]
    return rounded(throttle.reshape(len(MIDDLE), DRAWS), 2)


def support_of_drives(trial: Trial, agent: Method, task: Task, data: Trajectories) -> dict[str, Any]:
    """Which of a driver's throttles are far from the data, see :class:`~sfbc_core.support.DataSupport`.

    Returns:
        `any` and `fast`: up to `ASKED` states of data that it has not learned from, any or those above the speed `FAST`,
        with `x`, `v`, its throttle `a`, and whether this is `far` (0 or 1). `driven`: of its own drives the shares of
        `far_pairs`, states with what it did in them, and of `far_states`.
    """
    held_out = task.load_trajectories(transitions=trial.transitions, seed=HELD_OUT_SEED + trial.seed)
    support, generator = DataSupport(data, held_out), make_generator(trial.seed, "support")
    fast = (held_out.observations[:, 1] > FAST).nonzero()[:, 0]
    asked = {}
    for name, rows in (("any", torch.arange(len(held_out))), ("fast", fast)):
        states = held_out.observations[rows[torch.randperm(len(rows), generator=generator)[:ASKED]]]
        throttle = agent.act(states, generator)
        asked[name] = {
            "x": rounded(states[:, 0], 2),
            "v": rounded(states[:, 1], 2),
            "a": rounded(throttle[:, 0], 2),
            "far": support.far_pairs(states, throttle).astype(int).tolist(),
        }
    watched = Watched(agent)
    evaluate(watched, task, min(WATCHED, trial.episodes), trial.seed)
    seen, done = torch.cat(watched.states), torch.cat(watched.actions)
    driven = {
        "far_pairs": float(support.far_pairs(seen, done).mean()),
        "far_states": float(support.far_states(seen).mean()),
    }
    return {**asked, "driven": driven}


def actions_of_the_bandit(trial: Trial, agent: Method, task: Task, data: Trajectories) -> dict[str, Any]:
    """`PLAYED` of its `actions`; their share `off_data`, more than four deviations from both ways; and what they `earn`."""
    actions = agent.act(torch.zeros(PLAYED, 1), make_generator(trial.seed, "bandit"))
    return {
        "actions": rounded(actions[:, 0]),
        "off_data": float(two_way_bandit.BEHAVIOR.off_data(actions).double().mean()),
        "earn": float(two_way_bandit.true_q(actions.double()).mean()),
    }
