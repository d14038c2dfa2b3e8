"""What the result rests on, two by two: a faithful behavior model, or a critic that is trained long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from sfbc_core.behavior import check_fidelity
from sfbc_core.experiments.comparisons import ANT_MAZES
from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.settings import HELD_OUT_SHARE, method_config
from sfbc_core.experiments.trial import Trial
from sfbc_core.methods.sfbc import SfBC, SfBCConfig
from sfbc_core.randomness import make_generator
from sfbc_core.support import DataSupport
from sfbc_core.tasks.registry import Task
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories

ANT, MEDIUM = ANT_MAZES
RECORDED = 100_000  # transitions among which neighbors are looked for
JUDGED = 1_000  # transitions whose neighbors they are
ASKED = 4  # candidates in each of the judged states

# What `SfBC.acting` changes. With α = 0 a candidate is drawn without a look at Q: the behavior model alone. The paper takes
# the best of 32 in mazes and the mean of the best four in locomotion; public code draws one, or four, with α = 100.
WAYS = {
    "behavior alone": {"selection": "sample", "alpha": 0.0},
    "softmax, α = 20": {"selection": "sample", "alpha": 20.0},
    "softmax, α = 100": {"selection": "sample", "alpha": 100.0},
    "best of 32": {"selection": "greedy"},
    "mean of the best 4": {"selection": "mean_of_best", "averaged": 4},
    "mean of the best 12": {"selection": "mean_of_best", "averaged": 12},
    "mean of 4 drawn, α = 100": {"selection": "mean_of_sample", "averaged": 4, "alpha": 100.0},
}


def as_configured(profile: str) -> str:
    """Which of the four is :func:`~sfbc_core.experiments.settings.method_config`'s, that of Table 1.

    At "quick" both keep the same episodes aside; at "full" Table 1's keeps none, and is otherwise the same.
    """
    return choose(profile, smoke="short μ, short Q", quick="long μ, short Q", full="long μ, long Q")


def two_by_two(task: str, profile: str, seed: int) -> dict[str, SfBCConfig]:
    """SfBC on the ant with a behavior model and a critic that are each trained for a short or a long time, by name.

    "Long" is for the critic at "quick" 24,400 batches of 4096 with a constant rate: what public code counts as the paper's
    100 epochs, of a million transitions, and half of what it takes in ant mazes. For the behavior model it is so long that
    the loss on held-out episodes should have stopped falling; its curve is measured. At "full" both are the paper's.
    """
    config = replace(method_config("SfBC", task, profile, seed), held_out_share=HELD_OUT_SHARE)
    behavior, critic = config.behavior.training, config.critic.training
    if profile == "smoke":
        behavior = replace(behavior, gradient_steps=20, log_every=5)
    few = choose(profile, smoke=10, quick=8_000, full=8_000)
    behaviors = {"short": replace(behavior, gradient_steps=few, epochs=None), "long": behavior}
    critics = {
        "short": TrainingConfig.small(5_000, learning_rate=3e-3, checkpoint_every=1000) if profile == "full" else critic
    }
    if profile != "smoke":
        longer = TrainingConfig(gradient_steps=24_400, batch_size=4096, learning_rate=1e-3, checkpoint_every=1000)
        critics["long"] = critic if profile == "full" else longer
    return {
        f"{of_behavior} μ, {of_critic} Q": replace(
            config,
            behavior=replace(config.behavior, training=trained),
            critic=replace(config.critic, training=fitted),
        )
        for of_behavior, trained in behaviors.items()
        for of_critic, fitted in critics.items()
    }


def ways_to_act(config: SfBCConfig) -> dict[str, dict[str, Any]]:
    """Every way to act after the last iteration, the bold ones after the first too, and between them the mild one."""
    last = config.planning_iterations
    asked = [(way, last) for way in WAYS] + [("softmax, α = 100", 1), ("best of 32", 1)]
    if last > 2:
        asked += [("softmax, α = 20", k) for k in range(1, last)]
    return {f"{way}, K = {k}": {"iteration": k, **WAYS[way]} for way, k in asked}


def fidelity_trials(profile: str) -> list[Trial]:
    """The ant in its smallest maze: short and long trainings of both; below "full", the medium one with the short critic."""
    seeds = choose(profile, smoke={ANT: 1}, quick={ANT: 3, MEDIUM: 1}, full={ANT: 4, MEDIUM: 4})
    return [
        Trial(
            task,
            config,
            episodes=choose(profile, smoke=1, quick=100, full=100),
            variants=ways_to_act(config),
            label=label,
            profile=profile,
        )
        for task, count in seeds.items()
        for seed in range(count)
        for label, config in two_by_two(task, profile, seed).items()
        if task == ANT or profile == "full" or label.endswith("short Q")
    ]


def some_rows(data: Trajectories, count: int, generator: torch.Generator) -> Trajectories:
    """Transitions drawn at random, each as an episode of its own, for what does not ask what follows."""
    rows = torch.randperm(len(data), generator=generator)[:count]
    ends = torch.ones(len(rows), dtype=torch.bool)
    return data.replace(
        **{name: tensor[rows] for name, tensor in data.tensors().items()} | {"terminals": ~ends, "timeouts": ends}
    )


def fidelity_of_the_behavior(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, Any]:
    """How faithful the behavior model is, on the episodes that it has not learned from.

    Returns:
        `measures`: those of :class:`~sfbc_core.behavior.fidelity.Fidelity`.
        `far`: the share of candidates in held-out states that are farther from what is recorded than 99 in 100 held-out
        actions are.
        `loss` and `held_out_loss` along the training, and `at`, the gradient steps before which the latter were taken.
    """
    learned_from, held_out = agent.split(data)
    generator = make_generator(trial.seed, "fidelity")
    recorded, judged = some_rows(learned_from, RECORDED, generator), some_rows(held_out, JUDGED, generator)
    support, states = DataSupport(recorded, judged), judged.observations
    candidates = agent.behavior.sample(states, ASKED, generator).flatten(0, 1)
    training = agent.behavior.training
    marks = range(training.log_every, training.steps_for(len(learned_from)) + 1, training.log_every)
    return {
        "measures": check_fidelity(agent.behavior, learned_from, held_out, seed=trial.seed).to_dict(),
        "far": float(support.far_pairs(states.repeat_interleave(ASKED, 0), candidates).mean()),
        "at": list(marks),
        "loss": [round(loss, 5) for loss in agent.behavior.history],
        "held_out_loss": [round(loss, 5) for loss in agent.behavior.held_out_history],
    }
