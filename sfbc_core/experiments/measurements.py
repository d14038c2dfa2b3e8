"""What chapters show of a trained agent beside its scores: functions of (trial, agent, task, data) that give JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.critic import QCritic
from sfbc_core.evaluation import evaluate
from sfbc_core.experiments.playback import record_episode
from sfbc_core.experiments.summary import summarize
from sfbc_core.experiments.timing import shortest_times
from sfbc_core.experiments.trial import Trial
from sfbc_core.methods import Method
from sfbc_core.methods.sfbc import SfBC
from sfbc_core.planning import discounted_returns
from sfbc_core.randomness import make_generator
from sfbc_core.tasks.registry import REGENERATED, Task
from sfbc_core.trajectories import Trajectories

Measurement = Callable[[Trial, Any, Task, Trajectories], Any]  # the second is the trained agent

PICTURE_ROWS = 1500  # transitions in a picture of planned returns
JUDGED_STATES = 400  # in which actions are compared with the controller's
VALUED_STEPS = 10_000  # at which a learned Q is asked
TIMED = 20  # tries of a decision, of which the shortest counts
ENVIRONMENTS = (1, 4, 16, 64)  # that ask for a decision at once
PLAYED = 5  # episodes in which an arrival is looked for


def rounded(values: Tensor | np.ndarray | Sequence[float], digits: int = 3) -> list[Any]:
    """Numbers as lists, short enough for a file that people read."""
    values = values.cpu() if isinstance(values, Tensor) else values
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()


def mean_score(agent: SfBC, task: Task, episodes: int) -> float:
    """The normalised score of an agent's mean return, over episodes of its own seed."""
    return float(task.normalized_score(evaluate(agent, task, episodes, agent.config.seed).returns.mean()))


def data_summary(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> str:
    """The data set in a few lines."""
    return summarize(data)


def planned_returns_in_the_maze(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, Any]:
    """The paper's Figure 2: positions of transitions drawn at random, and their targets after each iteration."""
    size = min(PICTURE_ROWS, len(data))
    rows = torch.from_numpy(np.sort(np.random.default_rng(trial.seed).choice(len(data), size=size, replace=False)))
    rows = rows.to(data.device)
    return {
        "positions": rounded(data.observations[rows, :2], 2),
        "targets": [rounded(targets[rows]) for targets in agent.targets or agent.plan(data)],
    }


def agreement_with_the_controller(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, Any]:
    """Mean cosine between actions and those of D4RL's controller: of the behavior model, and after each iteration."""
    # Only here: it needs D4RL.
    from sfbc_core.tasks.d4rl.waypoints import controller_actions

    generator = make_generator(trial.seed, "look")  # the name decides the numbers that are stored
    states = data.observations[torch.randint(len(data), (JUDGED_STATES,), generator=generator)]
    reference = controller_actions(trial.task.removeprefix(REGENERATED), states.numpy())
    iterations = [agent.acting(iteration=k) for k in range(1, len(agent.critics) + 1)]
    chosen = [one.act(states, make_generator(trial.seed, "judged")).numpy() for one in iterations]
    return {
        "behavior": mean_cosine(agent.behavior.sample(states, 1, generator)[:, 0].numpy(), reference),
        "iterations": [mean_cosine(actions, reference) for actions in chosen],
    }


def mean_cosine(actions: Float[np.ndarray, "S A"], reference: Float[np.ndarray, "S A"]) -> float:
    """Mean cosine of the angle between actions and others, leaving out pairs in which one is zero."""
    lengths = np.linalg.norm(actions, axis=1) * np.linalg.norm(reference, axis=1)
    return float(((actions * reference).sum(1)[lengths > 0] / lengths[lengths > 0]).mean())


def learned_values(trial: Trial, agent: Method, task: Task, data: Trajectories) -> dict[str, float | str | None] | None:
    """What a Q that was learned by bootstrapping says of recorded steps, or a V of their states where there is no Q.

    Returns:
        `of`, "Q" or "V", with the `mean` and the `largest` value in discounted reward, and `recorded`, the largest
        discounted return of the same steps, or None for data that are one long episode; None for methods without such a
        network, and where rewards were changed to learn it.
    """
    networks = agent.models().get("networks", {})
    kind = next((name for name in ("q", "v") if name in networks), None)
    if kind is None or getattr(agent.config, "rewards", "as_recorded") != "as_recorded":
        return None
    rows = torch.randint(len(data), (VALUED_STEPS,), generator=make_generator(trial.seed, "valued"))
    states, actions = data.observations[rows], data.actions[rows]
    with torch.no_grad():
        if kind == "q":
            values = networks["q"](networks.states(states), networks.actions.scale(actions)).mean(0)
        else:
            values = networks["v"](networks.states(states))[..., 0].mean(0)
    recorded = None
    if len(data.episode_ends) > 1:
        recorded = round(discounted_returns(data, agent.config.discount)[rows].max().item(), 2)
    mean, largest = round(values.mean().item(), 2), round(values.max().item(), 2)
    return {"of": kind.upper(), "mean": mean, "largest": largest, "recorded": recorded}


def scores_of_members(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> list[float] | None:
    """After two iterations, the mean score with each member of the critic alone; None where there is only one."""
    members = agent.config.critic.members
    if members == 1:
        return None
    two = agent.acting(iteration=2)
    scores = []
    for index in range(members):
        alone = two.acting()
        alone.critics = [two.critic.member(index)]
        scores.append(mean_score(alone, task, trial.episodes))
    return scores


def first_and_last_episode(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, Any]:
    """The same episode after one iteration and after all."""
    first = agent.acting(iteration=1)
    return {"first": record_episode(first, task, trial.seed), "last": record_episode(agent, task, trial.seed)}


def last_episode(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, Any]:
    """An episode after all iterations."""
    return {"last": record_episode(agent, task, trial.seed)}


def arriving_episode(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, Any]:
    """The first of `PLAYED` episodes in which the ant arrives, and how many came `before` it; the first if none does."""
    first = None
    for number in range(PLAYED):
        episode = {**record_episode(agent, task, trial.seed, number), "before": number}
        first = first or episode
        if episode["return"]:
            return {"arriving": episode}
    return {"arriving": first}


def recorded_episodes(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, Any]:
    """Scores and lengths of the episodes of the data."""
    scores = task.normalized_score(data.episode_returns.numpy())
    return {"scores": rounded(scores, 2), "lengths": data.episode_lengths.tolist()}


def first_critic_of_all_returns(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, float]:
    """The first iteration with a critic that learned from every return, those that a timeout cut among them.

    Returns:
        `score`, the mean score; `residual`, the root mean squared error of this critic over all returns; `known`, that of
        the agent's own critic over the returns that it learned from; both in units of reward.
    """
    other, config = agent.acting(iteration=1), agent.config
    own = other.critic
    if config.unknown_share < 1:  # or else its own critic is the one of all returns
        critic = QCritic(config.critic, config.seed, agent.device)
        other.critics = [critic.fit(data, discounted_returns(data, config.discount))]
    return {
        "score": mean_score(other, task, trial.episodes),
        "residual": residual(other.critic),
        "known": residual(own),
    }


def residual(critic: QCritic) -> float:
    """Root mean squared error of a critic's network over the last ten entries of its history, in units of reward."""
    return float(np.sqrt(np.mean(critic.history[-10:])) * critic.scale)


def reach_of_candidates(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, float]:
    """How far from the middle of its range an action lies in its largest coordinate; 1 is at a bound.

    Returns:
        Means over recorded states: `data`, of the recorded action; `candidate`, of one draw from the behavior model; `best`,
        of the one among M candidates that lies farthest.
    """
    generator = make_generator(trial.seed, "reach")
    rows = torch.randperm(len(data), generator=generator)[:JUDGED_STATES].to(data.device)
    states, low, high = data.observations[rows], data.action_low, data.action_high

    def reach(actions: Float[Tensor, "*any act"]) -> Float[Tensor, "*any"]:
        return ((2 * actions - low - high) / (high - low)).abs().amax(-1)

    drawn = reach(agent.behavior.sample(states, agent.config.num_candidates, make_generator(trial.seed, "candidates")))
    means = {"data": reach(data.actions[rows]), "candidate": drawn[:, 0], "best": drawn.amax(1)}
    return {name: round(float(of.mean()), 4) for name, of in means.items()}


def seconds_of_decisions(trial: Trial, agent: Method, task: Task, data: Trajectories) -> dict[str, dict[str, float]]:
    """How long a decision takes: the shortest of some tries, in turn, on the machine that measures.

    Returns:
        `variants`: seconds of a decision in one environment, by variant. `environments`: of one in each of so many, decided
        at once as the agent is configured.
    """
    states = data.observations[torch.linspace(0, len(data) - 1, max(ENVIRONMENTS), device=data.device).long()]

    def decide(acting: Method, count: int) -> None:
        acting.act(states[:count]).cpu()  # which waits for the device

    asked = {("variants", name): partial(decide, agent.acting(**of), 1) for name, of in trial.variants.items()}
    asked |= {("environments", str(count)): partial(decide, agent, count) for count in ENVIRONMENTS}
    found: dict[str, dict[str, float]] = {"variants": {}, "environments": {}}
    for (kind, name), seconds in shortest_times(asked, TIMED).items():
        found[kind][name] = float(f"{seconds:.4g}")
    return found
