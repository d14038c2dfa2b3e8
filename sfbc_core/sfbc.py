"""Selecting from behavior candidates: the whole algorithm (Appendix A), resumable, and its agent."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfbc_core.configuration import config_from_json, config_to_json
from sfbc_core.critic import QCritic
from sfbc_core.files import atomic_path, load_json, load_tensors, save_json, save_tensors
from sfbc_core.planning import discounted_returns, planned_returns, soft_value, unknown_share
from sfbc_core.randomness import RandomSource, make_generator
from sfbc_core.run_store import RunStore
from sfbc_core.selection import select_actions
from sfbc_core.sfbc_config import ACTING, BEHAVIORS, CONFIG_TYPES, SfBCConfig
from sfbc_core.trajectories import Trajectories


class SfBC:
    """The agent: ``SfBC(config).fit(trajectories)``, then ``act(observations)``.

    Args:
        config: what to learn and how to act.
        device: where the models are trained and run.

    Attributes:
        behavior: the model of μ(a|s).
        critics: those of all K iterations. An agent that was loaded has only the last.
        targets: the critics' targets R^(0) … R^(K-1) of the last fit, each of shape (N,).
    """

    def __init__(self, config: SfBCConfig | None = None, device: torch.device | str = "cpu") -> None:
        self.config = config or SfBCConfig()
        self.device = torch.device(device)
        self.behavior = BEHAVIORS[type(self.config.behavior)](self.config.behavior, self.config.seed, device)
        self.critics: list[QCritic] = []
        self.targets: list[Tensor] = []
        self.acting_generator = make_generator(self.config.seed, "act", device=self.device)

    def fit(
        self, trajectories: Trajectories, run_dir: str | os.PathLike | None = None, *, progress: bool = False
    ) -> SfBC:
        """Learn μ, then K times: plan targets along the data (Eq. 12, 13) and fit Q to them.

        Args:
            trajectories: the data set.
            run_dir: folder for finished units of work (behavior model, candidates, each critic) and for checkpoints of an
                unfinished one. A run that was killed goes on from there and ends with the weights of an undisturbed run.
            progress: whether to show progress bars.

        Raises:
            ValueError: `run_dir` holds a run of another config or of other data, or the config's `unknown_share` leaves no
                return to learn from.
        """
        store = RunStore(run_dir, self.config, trajectories)
        trajectories = trajectories.to(self.device)
        known = self._known_rows(trajectories)
        store.unit(
            "behavior",
            self.behavior,
            lambda partial: self.behavior.fit(trajectories, checkpoint=partial, progress=progress),
        )
        # The candidates do not change over the iterations: they are drawn once.
        rows = self._valued_rows(trajectories)
        planned = self.config.planning_iterations > 1
        candidates = self._value_candidates(trajectories.observations[rows], store) if planned else None
        self.critics, self.targets = [], [discounted_returns(trajectories, self.config.discount)]
        for iteration in range(self.config.planning_iterations):
            if iteration:
                self.targets.append(self._plan(trajectories, rows, candidates))
            # A seed of its own for each iteration: fresh weights and fresh batches.
            critic = QCritic(self.config.critic, self.config.seed + 1000 * iteration, self.device)
            learned = None if iteration else known
            store.unit(
                f"critic-{iteration}",
                critic,
                lambda partial, critic=critic, learned=learned: critic.fit(
                    trajectories, self.targets[-1], rows=learned, checkpoint=partial, progress=progress
                ),
            )
            self.critics.append(critic)
        return self

    @property
    def critic(self) -> QCritic | None:
        """The critic by which the agent acts, the last one; None before :meth:`fit`."""
        return self.critics[-1] if self.critics else None

    def at_iteration(self, k: int) -> SfBC:
        """The agent as it was after `k` of its K iterations: the same behavior model, the k-th critic.

        Args:
            k: 1 for the critic of vanilla returns, up to K.

        Raises:
            ValueError: there is no k-th critic; a loaded agent has the last one only.
        """
        total = self.config.planning_iterations
        if not 1 <= k <= total:
            raise ValueError(f"k must lie between 1 and the {total} iterations of this agent, got {k}")
        if k < total != len(self.critics):
            raise ValueError(f"only the last of {total} critics is there, as in an agent that was loaded; got k = {k}")
        agent = self._sharing(replace(self.config, planning_iterations=k))
        if k < total:
            agent.critics, agent.targets = self.critics[:k], self.targets[:k]
        return agent

    def selecting(self, **options: Any) -> SfBC:
        """An agent with the same behavior model and critics that acts in another way.

        Args:
            options: fields of its config that differ, of those that decide how it acts: `selection`, `alpha`,
                `num_candidates`, `best`.

        Raises:
            ValueError: another field, or an impossible value.
        """
        if wrong := set(options) - ACTING:
            raise ValueError(f"expected fields that decide how to act, {sorted(ACTING)}, got {sorted(wrong)}")
        return self._sharing(replace(self.config, **options))

    def _sharing(self, config: SfBCConfig) -> SfBC:
        """An agent of another config with these models."""
        agent = type(self)(config, self.device)
        agent.behavior, agent.critics, agent.targets = self.behavior, self.critics, self.targets
        return agent

    def _known_rows(self, trajectories: Trajectories) -> Int[Tensor, " R"] | None:
        """The transitions of the first critic: those whose vanilla return is known well enough; None for all."""
        if self.config.unknown_share == 1:
            return None
        known = unknown_share(trajectories, self.config.discount) <= self.config.unknown_share
        if not known.any():
            raise ValueError(
                f"expected returns that lack at most {self.config.unknown_share} of the future, but in these data timeouts "
                f"cut all of them earlier: choose a larger unknown_share, or a discount below {self.config.discount}"
            )
        return known.nonzero().squeeze(1)

    def _valued_rows(self, trajectories: Trajectories) -> Int[Tensor, " V"]:
        """The transitions at whose state V is computed: every n-th, and those after which the recording was cut."""
        valued = trajectories.timeouts.clone()
        valued[:: self.config.value_every] = True
        return valued.nonzero().squeeze(1)

    def _plan(
        self, trajectories: Trajectories, rows: Int[Tensor, " V"], candidates: Float[Tensor, "V M act"]
    ) -> Float[Tensor, " N"]:
        q = self.critic.q(trajectories.observations[rows], candidates)
        # A value of -∞ never wins the maximum: where V is not known, the plan goes on along the data.
        values = torch.full((len(trajectories),), -torch.inf, device=self.device)
        values[rows] = soft_value(q, self.config.alpha / self.critic.scale)
        options = {"timeout": self.config.timeout, "max_on": self.config.max_on}
        return planned_returns(trajectories, values, self.config.discount, **options)

    def _value_candidates(self, observations: Float[Tensor, "V obs"], store: RunStore) -> Float[Tensor, "V M act"]:
        generator = make_generator(self.config.seed, "candidates", device=self.device)
        return store.tensor(
            "candidates",
            lambda: self.behavior.sample(observations, self.config.value_candidates, generator),
        ).to(self.device)

    def candidates(
        self, observations: Float[Tensor, "B obs"], n: int | None = None, generator: RandomSource | None = None
    ) -> tuple[Float[Tensor, "B n act"], Float[Tensor, "B n"]]:
        """Draw candidates from μ and evaluate them.

        Args:
            observations: shape (B, obs).
            n: candidates a state; by default the config's M.
            generator: one, or one for each row; by default the agent's own.

        Returns:
            Candidates (B, n, act) and their Q (B, n), in units of reward.

        Raises:
            RuntimeError: the agent is not fitted.
        """
        if self.critic is None:
            raise RuntimeError("this SfBC agent is not fitted yet: call fit(trajectories) first")
        generator = self.acting_generator if generator is None else generator
        actions = self.behavior.sample(observations, self.config.num_candidates if n is None else n, generator)
        return actions, self.critic.q(observations, actions)

    def act(
        self, observations: Float[Tensor, "B obs"], generator: RandomSource | None = None
    ) -> Float[Tensor, "B act"]:
        """An action for each observation: M candidates from μ, then the config's selection (Section 3.2).

        Args:
            observations: shape (B, obs).
            generator: one, or one for each row; by default the agent's own.

        Returns:
            Shape (B, act).

        Raises:
            RuntimeError: the agent is not fitted.
            ValueError: observations of another width than in the data.
        """
        generator = self.acting_generator if generator is None else generator
        actions, q = self.candidates(observations, generator=generator)
        alpha = self.config.alpha / self.critic.scale
        return select_actions(actions, q, alpha, self.config.selection, best=self.config.best, generator=generator)

    def save(self, path: str | os.PathLike) -> None:
        """Write the agent into the folder `path`: config.json and weights.safetensors; whole or not at all."""
        if self.critic is None:
            raise RuntimeError("this SfBC agent is not fitted yet: there is nothing to save")
        tensors = {
            **{f"behavior.{name}": value for name, value in self.behavior.tensors().items()},
            **{f"critic.{name}": value for name, value in self.critic.tensors().items()},
        }
        with atomic_path(path) as folder:
            folder.mkdir()
            save_json(folder / "config.json", config_to_json(self.config))
            save_tensors(folder / "weights.safetensors", tensors)

    @classmethod
    def load(cls, path: str | os.PathLike, device: torch.device | str = "cpu") -> SfBC:
        """The agent that :meth:`save` wrote.

        Raises:
            FileNotFoundError: no agent at `path`.
            ValueError: a damaged file, or a config of another version.
        """
        path = Path(path)
        for name in ("config.json", "weights.safetensors"):
            if not (path / name).is_file():
                raise FileNotFoundError(f"expected a saved agent in the folder {path}, but {name} is not there")
        agent = cls(config_from_json(load_json(path / "config.json"), CONFIG_TYPES), device)
        tensors = load_tensors(path / "weights.safetensors", agent.device)
        parts = {
            part: {n.removeprefix(part): t for n, t in tensors.items() if n.startswith(part)}
            for part in ("behavior.", "critic.")
        }
        agent.behavior.load_tensors(parts["behavior."])
        agent.critics = [QCritic(agent.config.critic, agent.config.seed, device).load_tensors(parts["critic."])]
        return agent
