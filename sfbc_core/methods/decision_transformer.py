"""Decision Transformer (Chen et al., NeurIPS 2021): the action as the next token after the return that is asked for.

No value is learned and none is maximised: a causal transformer reads (R̂_1, s_1, a_1, R̂_2, s_2, a_2, …) and regresses each
action on what comes before it. R̂_t, the return-to-go, is what was earned from t on in the data; to do well is to ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.networks import Standardizer, dropout, mlp
from sfbc_core.randomness import RandomSource
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories


@config_dataclass
class DecisionTransformerConfig:
    """Everything that decides a run, apart from the data and the machine; the paper's values are those of its Gym tasks."""

    context: int = 20  # K, steps that an action depends on; the paper's
    embedding: int = 128  # width of a token; the paper's
    layers: int = 3  # the paper's
    heads: int = 1  # of attention in a layer; the paper's
    dropout: float = 0.1  # share of embeddings and of each layer's answers that a training step zeroes; the paper's
    target_return: float | None = None  # what is asked for; None: the best in the data. The paper: one for each task
    horizon: int | None = None  # R̂ counts so many rewards at most; None: all to the end of the episode, as in the paper
    max_steps: int = 1000  # steps of an episode that have an embedding of their own; without a horizon
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            gradient_steps=100_000,
            batch_size=64,
            learning_rate=1e-4,
            weight_decay=1e-4,
            gradient_clip=0.25,
            warmup_steps=10_000,
        )
    )  # the paper's, but for the length of the warm-up, which is ours
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, count=["context", "embedding", "layers", "heads", "max_steps", "horizon"])
        check_ranges(self, below_one=["dropout"])
        if self.embedding % self.heads:
            raise ValueError(f"embedding must be a multiple of heads, got {self.embedding} and {self.heads}")

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> DecisionTransformerConfig:
        """A budget for a CPU: narrower, shallower, shorter, faster; `options` are other fields."""
        rates = {"learning_rate": 1e-3, "weight_decay": 1e-4, "gradient_clip": 0.25, "warmup_steps": 100}
        training = TrainingConfig.small(gradient_steps, batch_size=64, **rates)
        return cls(**{"context": 10, "embedding": 64, "layers": 2, "training": training, **options})


@dataclass(frozen=True, eq=False)
class Context:
    """B stretches of L steps, the last of them now; where `mask` is not set there was no step yet."""

    returns: Float[Tensor, "B L"]  # R̂, what is earned from each step on
    states: Float[Tensor, "B L obs"]  # standardised
    actions: Float[Tensor, "B L act"]  # in [-1, 1]
    steps: Int[Tensor, "B L"]  # number of each step in its episode, from 0
    mask: Bool[Tensor, "B L"]  # whether there is a step


class Contexts:
    """The stretch that ends with each transition of the data: what batches are drawn from."""

    def __init__(self, data: Trajectories, returns: Float[Tensor, " N"], length: int) -> None:
        self.windows, self.columns = data.windows(length), (returns, data.observations, data.actions)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: Int[Tensor, " B"]) -> Context:
        window = self.windows[index]
        return Context(*(window.of(column) for column in self.columns), window.steps, window.mask)


def returns_to_go(data: Trajectories, horizon: int | None = None) -> Float[Tensor, " N"]:
    """R̂_t = Σ_{t ≤ k} r_k to the end of the episode (Section 3), or of the next `horizon` rewards at most.

    Nothing is added for what a timeout cut off: the paper takes the recorded rewards for all there are.
    """
    # Differences of one running sum, in double precision: the sum of a long stream dwarfs each of them.
    total = torch.cat([torch.zeros(1, dtype=torch.float64), data.rewards.cpu().double().cumsum(0)])
    ends = torch.repeat_interleave(data.episode_ends, data.episode_lengths).cpu() + 1
    first = torch.arange(len(data))
    last = ends if horizon is None else ends.minimum(first + horizon)
    return (total[last] - total[first]).float().to(data.device)


class Block(nn.Module):
    """x += attention(norm(x)), x += perceptron(norm(x)): a layer of GPT-2, with the paper's ReLU."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = mlp([width, 4 * width, width])

    def forward(self, x: Float[Tensor, "B T width"], allowed: Bool[Tensor, "B 1 T T"], drop: Callable) -> Tensor:
        """The tokens after the layer; token i looks at token j where ``allowed[:, 0, i, j]``."""
        parts = self.project(self.norm_attention(x)).chunk(3, dim=2)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B, heads, T, ·)
        seen = scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        x = x + drop(self.merge(seen.transpose(1, 2).flatten(2)))
        return x + drop(self.perceptron(self.norm_perceptron(x)))


class CausalTransformer(nn.Module):
    """(R̂_1, s_1, a_1, …, R̂_t, s_t) -> a_t for every t of a context (Algorithm 1).

    Attributes:
        scale: standardises returns-to-go; the paper divides them by a number for each task.
        best: the largest that there is to ask for.
    """

    def __init__(self, obs_dim: int, act_dim: int, config: DecisionTransformerConfig) -> None:
        super().__init__()
        self.config, width = config, config.embedding
        self.scale = Standardizer(1)
        self.register_buffer("best", torch.zeros(()))
        self.of_return, self.of_state, self.of_action = (nn.Linear(dim, width) for dim in (1, obs_dim, act_dim))
        self.of_step = nn.Embedding(config.max_steps if config.horizon is None else config.context, width)
        nn.init.normal_(self.of_step.weight, std=0.02)  # torch's deviation of 1 would drown the tokens; GPT-2's
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
        self.to_action = nn.Sequential(nn.Linear(width, act_dim), nn.Tanh())

    def forward(self, context: Context, generator: torch.Generator | None = None) -> Float[Tensor, "B L act"]:
        """The action predicted for every step; without a generator there is no dropout."""
        drop = partial(dropout, rate=self.config.dropout, generator=generator)
        steps = context.steps
        if self.config.horizon is not None:
            # A step's number in a stream of a million says nothing while acting: count within the context.
            steps = context.mask.cumsum(1) - 1
        when = self.of_step(steps.clamp(0, self.of_step.num_embeddings - 1))
        tokens = (
            self.of_return(self.scale(context.returns[..., None])) + when,
            self.of_state(context.states) + when,
            self.of_action(context.actions) + when,
        )
        x = drop(self.norm_in(torch.stack(tokens, dim=2).flatten(1, 2)))  # (B, 3L, width)
        # A token looks at what is there and not after it. Padding looks at itself: over nothing, a softmax can be NaN.
        there = context.mask.repeat_interleave(3, dim=1)
        size = there.shape[1]
        allowed = there[:, None, :].expand(-1, size, -1).tril() | torch.eye(size, dtype=torch.bool, device=x.device)
        for block in self.blocks:
            x = block(x, allowed[:, None], drop)
        return self.to_action(self.norm_out(x[:, 1::3]))  # from s_t, which has seen R̂_t and all before, but not a_t


class DecisionTransformer(GradientMethod, config=DecisionTransformerConfig):
    """The agent: ``DecisionTransformer(config).fit(trajectories)``, then ``start(episodes)``; ``act`` is a first step."""

    config: DecisionTransformerConfig
    acting_fields = frozenset({"target_return"})

    def networks(self, obs_dim: int, act_dim: int) -> dict[str, nn.Module]:
        """The transformer."""
        return {"transformer": CausalTransformer(obs_dim, act_dim, self.config)}

    def rows(self, data: Trajectories) -> Contexts:
        """Contexts that end with each transition. The transformer takes over the scale of the returns.

        Raises:
            ValueError: an episode of more than `max_steps` steps, and no horizon.
        """
        config, longest = self.config, int(data.episode_lengths.max())
        if config.horizon is None and longest > config.max_steps:
            raise ValueError(
                f"expected episodes of at most max_steps = {config.max_steps} steps, got one of {longest}: raise max_steps, "
                "or set a horizon if the data are one long recording"
            )
        returns = returns_to_go(data, config.horizon)
        transformer = self.nets["transformer"]
        transformer.scale.fit(returns[:, None])
        transformer.best.copy_(returns[data.episode_starts].max() if config.horizon is None else returns.max())
        return Contexts(data, returns, config.context)

    def losses(self, batch: Context, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error of the predicted actions, over the steps that are there (Algorithm 1)."""
        errors = (self.nets["transformer"](batch, generator) - batch.actions).square().mean(2)  # (B, L)
        return {"transformer": (errors * batch.mask).sum() / batch.mask.sum()}

    def start(self, episodes: int) -> ContextPolicy:
        """What acts in so many new episodes and remembers the last `context` steps of each."""
        self._require_fitted()
        return ContextPolicy(self, episodes)

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """The first action of as many new episodes."""
        return self.start(len(states)).choose(np.arange(len(states)), states, states.new_zeros(len(states)))


class ContextPolicy:
    """A transformer in E running episodes; see :class:`~sfbc_core.evaluation.Policy`.

    Attributes:
        asked: R̂ of each episode now: the target minus what was earned since the start, shape (E,).
        taken: steps of each episode so far, shape (E,).
        memory: R̂, s and a of the last L steps of each, the latest last, shape (E, L, 1 + obs + act).
    """

    def __init__(self, agent: DecisionTransformer, episodes: int) -> None:
        self.agent, self.transformer = agent, agent.nets["transformer"]
        target, device = agent.config.target_return, agent.device
        target = self.transformer.best if target is None else torch.tensor(float(target), device=device)
        self.asked, self.taken = target.repeat(episodes), torch.zeros(episodes, dtype=torch.int64, device=device)
        self.widths = (1, len(agent.nets.states.mean), len(agent.nets.actions.low))
        self.memory = torch.zeros(episodes, agent.config.context, sum(self.widths), device=device)

    def step(self, rows: np.ndarray, observations: Tensor, rewards: Tensor, generators: Any) -> Tensor:
        """See :class:`~sfbc_core.evaluation.Policy`. Nothing is drawn."""
        nets = self.agent.nets
        return self.agent.act_by(
            lambda seen, _: nets.actions.unscale(self.choose(rows, nets.states(seen), rewards)),
            observations,
            generators,
        )

    def choose(
        self, rows: Int[np.ndarray, " R"], states: Float[Tensor, "R obs"], rewards: Float[Tensor, " R"]
    ) -> Float[Tensor, "R act"]:
        """Actions in [-1, 1] for standardised states; both are remembered."""
        rows = torch.as_tensor(rows, device=states.device)
        self.asked[rows] -= rewards.to(states.device)
        now = torch.cat([self.asked[rows, None], states, states.new_zeros(len(rows), self.widths[2])], dim=1)
        memory = torch.cat([self.memory[rows, 1:], now[:, None]], dim=1)
        returns, before, actions = memory.split(self.widths, dim=2)  # views
        steps = self.taken[rows, None] - torch.arange(memory.shape[1] - 1, -1, -1, device=states.device)
        chosen = self.transformer(Context(returns[..., 0], before, actions, steps.clamp_min(0), steps >= 0))[:, -1]
        actions[:, -1] = chosen
        self.memory[rows], self.taken[rows] = memory, self.taken[rows] + 1
        return chosen
