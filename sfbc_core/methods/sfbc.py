"""Selecting from behavior candidates: the whole algorithm (Appendix A), its configuration and its agent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfbc_core.arrays import ArrayLike
from sfbc_core.behavior import (
    BehaviorModel,
    DiffusionBehavior,
    DiffusionConfig,
    DistilledBehavior,
    DistilledConfig,
    FlowMatchingBehavior,
    FlowMatchingConfig,
    GaussianBehavior,
    GaussianConfig,
    SolverConfig,
    VAEBehavior,
    VAEConfig,
)
from sfbc_core.configuration import config_dataclass, config_to_json, converted
from sfbc_core.critic import CriticConfig, QCritic
from sfbc_core.methods.base import Method
from sfbc_core.planning import (
    MaximumOn,
    TimeoutRule,
    discounted_returns,
    planned_returns,
    soft_value,
    unknown_share,
)
from sfbc_core.randomness import RandomSource, make_generator
from sfbc_core.ranges import check_ranges
from sfbc_core.run import Model, Run
from sfbc_core.selection import AVERAGING, Mode, check_inverse_temperature, select_actions
from sfbc_core.trajectories import Trajectories

# A behavior model is chosen by the type of its config.
BEHAVIORS: dict[type, type[BehaviorModel]] = {
    DiffusionConfig: DiffusionBehavior,
    GaussianConfig: GaussianBehavior,
    VAEConfig: VAEBehavior,
    FlowMatchingConfig: FlowMatchingBehavior,
    DistilledConfig: DistilledBehavior,
}
BehaviorConfig = DiffusionConfig | GaussianConfig | VAEConfig | FlowMatchingConfig | DistilledConfig
SolverName = Literal["published", "respaced", "accurate"]
SOLVERS: dict[SolverName, SolverConfig] = {
    "published": SolverConfig(),
    "respaced": SolverConfig(spacing="log_snr"),  # the published one but for where its steps are
    "accurate": SolverConfig.accurate(),
}


@config_dataclass
class SfBCConfig:
    """Everything that decides a run, apart from the data and the machine."""

    behavior: BehaviorConfig = field(default_factory=DiffusionConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    planning_iterations: int = 2  # K critic fits; the first is on vanilla returns. Paper: 2 locomotion, 4 or 5 antmaze
    value_candidates: int = 16  # candidates for the soft value (Eq. 13); the paper's
    value_every: int = 1  # V is known, and a plan may leave the data, at every n-th state only; the paper: at each
    alpha: float = 20.0  # inverse temperature, in units of 1 / deviation of the critic's targets; the paper's
    discount: float = 0.99  # γ; the paper does not say
    timeout: TimeoutRule = "bootstrap"  # see planned_returns; the paper does not say
    max_on: MaximumOn = "next"  # see planned_returns; Eq. 12
    held_out_share: float = 0.0  # of the episodes: kept from μ, which is judged on them
    unknown_share: float = 1.0  # the first critic skips returns that lack a larger share; the paper: skips none
    num_candidates: int = 32  # M candidates to act; the paper's
    selection: Mode = "greedy"  # how to act; the paper's, with "mean_of_best" for locomotion
    averaged: int = 4  # how many candidates the two means average; the paper's
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(
            self,
            count=["planning_iterations", "value_candidates", "value_every", "num_candidates", "averaged"],
            share=["discount", "held_out_share", "unknown_share"],
        )
        if self.held_out_share == 1:
            raise ValueError("held_out_share must be below 1, got 1: μ learns from the other episodes")
        check_inverse_temperature(self.alpha)
        if self.selection in AVERAGING and self.averaged > self.num_candidates:
            raise ValueError(f"averaged must be at most the {self.num_candidates} candidates, got {self.averaged}")


class SfBC(Method, config=SfBCConfig):
    """The agent: ``SfBC(config).fit(trajectories)``, then ``act(observations)``.

    Attributes:
        behavior: the model of μ(a|s).
        critics: those of all K iterations; :attr:`critic` is the last, by which the agent acts.
        targets: the critics' targets R^(0) … R^(K-1) of the last fit, each of shape (N,); none in an agent that was loaded.
    """

    config: SfBCConfig
    acting_fields = frozenset({"selection", "alpha", "num_candidates", "averaged"})

    def __init__(self, config: SfBCConfig | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__(config, device)
        config = self.config
        self.behavior = BEHAVIORS[type(config.behavior)](config.behavior, config.seed, device)
        # A seed of its own for each iteration: fresh weights and fresh batches.
        seeds = [config.seed + 1000 * k for k in range(config.planning_iterations)]
        self.critics = [QCritic(config.critic, seed, device) for seed in seeds]
        self.targets: list[Tensor] = []

    def learn(self, data: Trajectories, run: Run, progress: bool) -> None:
        """Algorithm 1 of Appendix A: learn μ, then K times plan targets along the data (Eq. 12, 13) and fit Q to them."""
        options = {"progress": progress}
        learned_from, held_out = self.split(data)
        run.fit(
            "behavior",
            self.behavior,
            lambda path: self.behavior.fit(learned_from, held_out=held_out, checkpoint=path, **options),
            decided_by=self._decides_the_behavior(),
        )
        self.targets = []
        for k, (critic, targets) in enumerate(zip(self.critics, self.plan(data, run), strict=True)):
            learned = None if k else self._known_rows(data)
            run.fit(
                f"critic-{k}",
                critic,
                lambda path, critic=critic, targets=targets, learned=learned: critic.fit(
                    data, targets, rows=learned, checkpoint=path, **options
                ),
            )
            self.targets.append(targets)

    def _decides_the_behavior(self) -> list[Any]:
        """All that decides the behavior model besides the data."""
        return [config_to_json(self.config.behavior), self.config.held_out_share, self.config.seed]

    def split(self, data: Trajectories) -> tuple[Trajectories, Trajectories | None]:
        """The episodes that μ learns from, and those on which it is judged, drawn at random by the seed; None for none.

        Raises:
            ValueError: so few episodes that one of the two would have none.
        """
        share, episodes = self.config.held_out_share, len(data.episode_ends)
        if share == 0:
            return data, None
        if episodes < 2:
            raise ValueError(f"held_out_share = {share} needs 2 episodes or more, got {episodes}")
        count = min(max(1, round(share * episodes)), episodes - 1)
        kept = torch.ones(episodes, dtype=torch.bool)
        kept[torch.randperm(episodes, generator=make_generator(self.config.seed, "held out"))[:count]] = False
        return data.select_episodes(kept), data.select_episodes(~kept)

    def plan(self, data: Trajectories, run: Run | None = None) -> Iterator[Float[Tensor, " N"]]:
        """The critics' targets R^(0) … R^(K-1), each of shape (N,); the k-th is asked for once critic k - 1 is fitted.

        Args:
            data: what the agent learns or learned from.
            run: keeps the candidates, which take the time.
        """
        config = self.config
        yield discounted_returns(data, config.discount)  # R^(0), the vanilla returns
        if config.planning_iterations == 1:
            return
        # The candidates do not change over the iterations: they are drawn once.
        rows = self._valued_rows(data)
        states = data.observations[rows]
        generator = make_generator(config.seed, "candidates", device=self.device)
        candidates = (run or Run()).compute(
            "candidates",
            (len(states), config.value_candidates, data.action_dim),
            lambda: self.behavior.sample(states, config.value_candidates, generator),
            decided_by=[self._decides_the_behavior(), config.value_candidates, config.value_every],
        )
        candidates = candidates.to(self.device)
        for critic in self.critics[:-1]:
            # A value of -∞ never wins the maximum: where V is not known, the plan goes on along the data.
            values = torch.full((len(data),), -torch.inf, device=self.device)
            values[rows] = soft_value(critic.q(states, candidates), config.alpha / critic.scale)  # Eq. 13
            rules = {"timeout": config.timeout, "max_on": config.max_on}
            yield planned_returns(data, values, config.discount, **rules)  # Eq. 12

    @property
    def critic(self) -> QCritic:
        """The critic by which the agent acts, the last one."""
        return self.critics[-1]

    def models(self) -> dict[str, Model]:
        """The behavior model and the critics of all iterations."""
        return {"behavior": self.behavior, **{f"critic-{k}": critic for k, critic in enumerate(self.critics)}}

    def acting(
        self,
        *,
        iteration: int | None = None,
        solver: SolverName | None = None,
        solver_steps: int | None = None,
        **changes: Any,
    ) -> SfBC:
        """The same models, another way to act.

        Args:
            iteration: act by the critic of this planning iteration, 1 for that of vanilla returns up to K, as an agent that
                stopped there would.
            solver: draw candidates by the "published" solver, which public code has, by the same one with its steps at equal
                distances in log-SNR ("respaced"), or by the more "accurate" one of chapter 3.
            solver_steps: draw them with this many network evaluations, D, also from a flow matching model.
            changes: other `selection`, `alpha`, `num_candidates`, `averaged`.

        Raises:
            TypeError: a value of another type.
            ValueError: no such iteration, another field, an impossible value, a solver for what is no diffusion model, or
                steps for a model that takes none.
        """
        agent = super().acting(**changes)
        iteration = converted(int | None, iteration, "iteration")
        if iteration is not None:
            if not 1 <= iteration <= len(self.critics):
                raise ValueError(f"iteration must lie between 1 and {len(self.critics)}, got {iteration}")
            agent.config = replace(agent.config, planning_iterations=iteration)
            agent.critics, agent.targets = self.critics[:iteration], self.targets[:iteration]
        if solver is not None or solver_steps is not None:
            steps = converted(int | None, solver_steps, "solver_steps")
            agent._draw_by(converted(SolverName | None, solver, "solver"), steps)
        return agent

    def _draw_by(self, name: SolverName | None, steps: int | None) -> None:
        """Draw candidates by another solver."""
        behavior, kind = self.behavior, type(self.behavior).__name__
        if name is None and isinstance(behavior, FlowMatchingBehavior):
            self.behavior = behavior.with_steps(steps)
        elif isinstance(behavior, DiffusionBehavior):
            solver = behavior.config.solver
            steps = solver.steps if steps is None else steps
            self.behavior = behavior.with_solver(replace(SOLVERS.get(name, solver), steps=steps))
        else:
            raise ValueError(f"solver and solver_steps are of a diffusion model, got them for a {kind}")
        self.config = replace(self.config, behavior=self.behavior.config)

    def _known_rows(self, data: Trajectories) -> Int[Tensor, " R"] | None:
        """The transitions of the first critic: those whose vanilla return is known well enough; None for all."""
        if self.config.unknown_share == 1:
            return None
        known = unknown_share(data, self.config.discount) <= self.config.unknown_share
        if not known.any():
            raise ValueError(
                f"expected returns that lack at most {self.config.unknown_share} of the future, but in these data timeouts "
                f"cut all of them earlier: choose a larger unknown_share, or a discount below {self.config.discount}"
            )
        return known.nonzero().squeeze(1)

    def _valued_rows(self, data: Trajectories) -> Int[Tensor, " V"]:
        """The transitions at whose state V is computed: every n-th, and those after which the recording was cut."""
        valued = data.timeouts.clone()
        valued[:: self.config.value_every] = True
        return valued.nonzero().squeeze(1)

    def candidates(
        self,
        observations: Float[Tensor, "B obs"] | ArrayLike,
        n: int | None = None,
        generator: RandomSource | None = None,
    ) -> tuple[
        Float[Tensor, "B n act"] | Float[np.ndarray, "B n act"], Float[Tensor, "B n"] | Float[np.ndarray, "B n"]
    ]:
        """Draw candidates from μ and evaluate them.

        Args:
            observations: shape (B, obs), as in :meth:`~sfbc_core.methods.base.Method.act`; the answers are
                tensors or arrays as they are.
            n: candidates a state; by default the config's M.
            generator: one, or one for each row; by default the agent's own.

        Returns:
            Candidates (B, n, act) and their Q (B, n), in units of reward.

        Raises:
            RuntimeError: the agent is not fitted.
            TypeError, ValueError: as :meth:`~sfbc_core.methods.base.Method.act`.
        """
        self._require_fitted()
        generator = self.acting_generator if generator is None else generator
        actions = self.behavior.sample(observations, self.config.num_candidates if n is None else n, generator)
        return actions, self.critic.q(observations, actions)

    def decide(self, observations: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """An action for each observation: M candidates from μ, then the config's selection (Section 3.2)."""
        config = self.config
        actions, q = self.candidates(observations, generator=generator)
        alpha = config.alpha / self.critic.scale
        return select_actions(actions, q, alpha, config.selection, averaged=config.averaged, generator=generator)
