"""The study of Maze2D: three mazes, three seeds, every planning iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from sfbc_core.experiments.playback import record_episode
from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.studies.common import cpu_agent, mean_score, planned_picture, selection_scores, smoke_agent
from sfbc_core.experiments.study import Study
from sfbc_core.experiments.trial import TrialConfig
from sfbc_core.methods.sfbc import SfBC, SfBCConfig
from sfbc_core.randomness import make_generator
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

MAZES = ("umaze", "medium", "large")
# The paper gives no γ and no K for these tasks. At 100 steps a second, the way through the large maze takes 400 steps, of
# which 0.99 would leave less than two hundredths of a reward. Four iterations, so that all mazes are seen over the same K.
DISCOUNT, ITERATIONS = {"umaze": 0.99, "medium": 0.995, "large": 0.995}, 4
# At "quick". In the smallest maze single critics can differ widely, see chapter 9: four, each trained half as long.
CRITIC = {
    "umaze": {"critic_steps": 4_000, "members": 4},
    "medium": {"critic_steps": 8_000},
    "large": {"critic_steps": 8_000},
}
# Ways to act, tried after two iterations; the paper's is to take the best of 32.
SELECTIONS = {
    "best of 8": {"num_candidates": 8},
    "best of 32": {"num_candidates": 32},
    "best of 128": {"num_candidates": 128},
    "softmax, α = 20": {"selection": "sample", "alpha": 20.0},
}
JUDGED_STATES = 400  # in which actions are compared with the controller's


def agent_config(profile: str, maze: str, seed: int) -> SfBCConfig:
    """SfBC at the size of a profile; the paper's networks and training at "full"."""
    iterations = choose(profile, smoke=2, quick=ITERATIONS, full=ITERATIONS)
    shared = {"discount": DISCOUNT[maze], "planning_iterations": iterations}
    if profile == "full":
        return SfBCConfig(seed=seed, **shared)
    if profile == "smoke":
        return smoke_agent(members=2, seed=seed, **shared)
    return cpu_agent(widths=(64, 32), behavior_steps=4_000, value_every=2, seed=seed, **CRITIC[maze], **shared)


def trials(profile: str) -> Sequence[TrialConfig]:
    """Every maze with every seed."""
    mazes = choose(profile, smoke=MAZES[:1], quick=MAZES, full=MAZES)
    seeds = choose(profile, smoke=2, quick=3, full=3)
    return [
        TrialConfig(
            f"regen/maze2d-{maze}-v1",
            agent_config(profile, maze, seed),
            episodes=choose(profile, smoke=1, quick=20, full=20),
            profile=profile,
            transitions=choose(profile, smoke=2_000, quick=1_000_000, full=None),
            every_iteration=True,
        )
        for seed in range(seeds)
        for maze in mazes
    ]


def look(config: TrialConfig, agent: SfBC, task: Task, trajectories: Trajectories) -> dict[str, Any]:
    """Planned returns (Figure 2), actions beside the controller's, scores of other selections, and two episodes."""
    # Only here: it needs D4RL.
    from sfbc_core.tasks.d4rl.waypoints import controller_actions

    seed = config.agent.seed
    generator = make_generator(seed, "look")
    states = trajectories.observations[torch.randint(len(trajectories), (JUDGED_STATES,), generator=generator)]
    reference = controller_actions(config.task.removeprefix("regen/"), states.numpy())
    iterations = range(1, config.agent.planning_iterations + 1)
    chosen = [agent.acting(iteration=k).act(states, make_generator(seed, "judged")).numpy() for k in iterations]
    several = config.agent.critic.members > 1
    return {
        **({"members": member_scores(agent.acting(iteration=2), task, config.episodes)} if several else {}),
        "picture": planned_picture(agent, trajectories, seed),
        "agreement": {
            "behavior": agreement(agent.behavior.sample(states, 1, generator)[:, 0].numpy(), reference),
            "iterations": [agreement(actions, reference) for actions in chosen],
        },
        "selections": selection_scores(agent.acting(iteration=2), SELECTIONS, task, config.episodes),
        "episodes": {
            "first": record_episode(agent.acting(iteration=1), task, seed),
            "last": record_episode(agent, task, seed),
        },
    }


def member_scores(agent: SfBC, task: Task, episodes: int) -> list[float]:
    """The mean score of an agent if it listened to one member of its critic alone, for each member."""
    scores = []
    for index in range(agent.critic.config.members):
        alone = agent.acting()
        alone.critics = [agent.critic.member(index)]
        scores.append(mean_score(alone, task, episodes))
    return scores


def agreement(actions: Float[np.ndarray, "S A"], reference: Float[np.ndarray, "S A"]) -> float:
    """Mean cosine of the angle between actions and others; an action of no length has no angle and does not count."""
    lengths = np.linalg.norm(actions, axis=1) * np.linalg.norm(reference, axis=1)
    return float(((actions * reference).sum(1)[lengths > 0] / lengths[lengths > 0]).mean())


STUDY = Study("maze2d", trials, look)
