"""The one data type that everything consumes: transitions in the order they happened, and where episodes end."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sfbc_core.arrays import ArrayLike, as_bounds, as_states, as_tensor, as_words, warn_the_caller
from sfbc_core.transitions import NumberedSteps, Transitions, Windows

# Actions recorded by float32 controllers overshoot their bounds by a few rounding errors.
BOUND_TOLERANCE = 1e-5
ROWS_CHECKED_AT_ONCE = 65_536


class Trajectories:
    """Time-ordered transitions of one or many episodes, the dataset D_μ = {(s_n, a_n, r_n)} of the paper.

    An episode ends where `terminals` (the task is over: nothing can be earned afterwards) or `timeouts` (the recording
    stopped, the task did not) is set. A transition with both flags is a terminal.

    Args:
        observations: states s_n, shape (N, obs).
        actions: actions a_n, shape (N, act), within `action_low` and `action_high`.
        rewards: rewards r_n, shape (N,).
        terminals: whether the task ended with this transition, shape (N,).
        timeouts: whether the recording was cut after this transition, shape (N,); never if not given.
        action_low, action_high: the declared bounds of the actions: a number, or one for each coordinate, such as the `low`
            and `high` of a `gymnasium.spaces.Box`. They are kept as tensors, shape (act,).
        next_observations: states after every transition, shape (N, obs), where they were recorded. Within an episode they
            are the next row's observations; they are worth keeping for the transitions that a timeout cut.

    Arrays, lists, tensors and DataFrames are accepted; they are kept as contiguous float32 (flags: bool) tensors on the
    device of the observations; states that float32 cannot tell apart, such as positions of 1e8 ± 1, in float64. A last
    transition with neither flag is treated as a timeout, with a warning.

    Raises:
        TypeError: arrays of anything but real numbers.
        ValueError: empty data, lengths or ranks that disagree, NaN or infinity, impossible bounds, actions outside them.
    """

    observations: Float[Tensor, "N obs"]
    actions: Float[Tensor, "N act"]
    rewards: Float[Tensor, " N"]
    terminals: Bool[Tensor, " N"]
    timeouts: Bool[Tensor, " N"]
    next_observations: Float[Tensor, "N obs"] | None
    action_low: Float[Tensor, " act"]
    action_high: Float[Tensor, " act"]

    def __init__(
        self,
        observations: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        terminals: ArrayLike,
        timeouts: ArrayLike | None = None,
        action_low: ArrayLike = -1.0,
        action_high: ArrayLike = 1.0,
        next_observations: ArrayLike | None = None,
    ) -> None:
        device = observations.device if isinstance(observations, Tensor) else torch.device("cpu")
        self.observations = as_states("observations", observations, device)
        self.actions = as_tensor("actions", actions, 2, torch.float32, device)
        self.rewards = as_tensor("rewards", rewards, 1, torch.float32, device)
        self.terminals = as_tensor("terminals", terminals, 1, torch.bool, device)
        timeouts = torch.zeros_like(self.terminals) if timeouts is None else timeouts
        self.timeouts = as_tensor("timeouts", timeouts, 1, torch.bool, device)
        self.next_observations = None
        if next_observations is not None:
            dtype = self.observations.dtype
            self.next_observations = as_tensor("next_observations", next_observations, 2, dtype, device)
        self.action_low, self.action_high = as_bounds(action_low, action_high, self.action_dim, device)
        self._check_lengths()
        self._check_values()
        self._close_last_episode()

    def _check_lengths(self) -> None:
        lengths = {name: len(tensor) for name, tensor in self.tensors().items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"all arrays must have the same length, got {lengths}")
        if lengths["observations"] == 0:
            raise ValueError("an empty data set: expected at least one transition, got 0")
        if self.next_observations is not None and self.next_observations.shape != self.observations.shape:
            raise ValueError(
                f"next_observations must have the shape of observations, {tuple(self.observations.shape)}, "
                f"got {tuple(self.next_observations.shape)}"
            )

    def _check_values(self) -> None:
        for name, tensor in self.tensors().items():
            # In blocks: the check of all rows at once would for a moment take more memory than the data.
            for number, block in enumerate(tensor.split(ROWS_CHECKED_AT_ONCE)):
                if not (finite := torch.isfinite(block)).all():
                    first = int((~finite).reshape(len(block), -1).any(1).nonzero()[0]) + number * ROWS_CHECKED_AT_ONCE
                    raise ValueError(f"{name} must be finite, found NaN or infinity first at transition {first}")
        low, high = torch.aminmax(self.actions, dim=0)
        slack = BOUND_TOLERANCE * (self.action_high - self.action_low)
        if (low < self.action_low - slack).any() or (high > self.action_high + slack).any():
            raise ValueError(
                f"actions must lie within [{as_words(self.action_low)}, {as_words(self.action_high)}], got values from "
                f"{as_words(low)} to {as_words(high)}; declare other bounds with action_low and action_high"
            )

    def _close_last_episode(self) -> None:
        if not bool(self.terminals[-1] | self.timeouts[-1]):
            warn_the_caller("the last transition has neither a terminal nor a timeout flag: it is treated as a timeout")
            self.timeouts = self.timeouts.clone()  # never write into the caller's array
            self.timeouts[-1] = True

    def __len__(self) -> int:
        return self.observations.shape[0]

    @property
    def observation_dim(self) -> int:
        """Number of state coordinates."""
        return self.observations.shape[1]

    @property
    def action_dim(self) -> int:
        """Number of action coordinates."""
        return self.actions.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.observations.device

    @property
    def episode_ends(self) -> Int[Tensor, " E"]:
        """Index of the last transition of every episode, shape (E,)."""
        return (self.terminals | self.timeouts).nonzero().squeeze(1)

    @property
    def episode_starts(self) -> Int[Tensor, " E"]:
        """Index of the first transition of every episode, shape (E,)."""
        ends = self.episode_ends
        return torch.cat([ends.new_zeros(1), ends[:-1] + 1])

    @property
    def episode_lengths(self) -> Int[Tensor, " E"]:
        """Number of transitions of every episode, shape (E,)."""
        return self.episode_ends - self.episode_starts + 1

    @property
    def episode_returns(self) -> Float[Tensor, " E"]:
        """Undiscounted sum of rewards of every episode, shape (E,), float64 on the CPU."""
        total = torch.cat([torch.zeros(1, dtype=torch.float64), self.rewards.cpu().double().cumsum(0)])
        return total[self.episode_ends.cpu() + 1] - total[self.episode_starts.cpu()]

    def to(self, device: torch.device | str) -> Trajectories:
        """The same data on another device."""
        return self._with({name: tensor.to(device) for name, tensor in (self.tensors() | self.bounds()).items()})

    def bounds(self) -> dict[str, Float[Tensor, " act"]]:
        """`action_low` and `action_high` by name."""
        return {"action_low": self.action_low, "action_high": self.action_high}

    def tensors(self) -> dict[str, Tensor]:
        """All columns by name; `next_observations` is among them where the data have it."""
        names = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
        return {name: tensor for name in names if (tensor := getattr(self, name)) is not None}

    def replace(self, **tensors: ArrayLike) -> Trajectories:
        """The same data but for the given tensors, which are checked as those of new data are.

        Raises:
            TypeError: a name that is no tensor of the data.
            ValueError: impossible values, or one of `observations` and `next_observations` without the other.
        """
        kept = self.tensors()
        if wrong := set(tensors) - {*kept, "next_observations"}:
            raise TypeError(f"expected some of {[*kept, 'next_observations']}, got {sorted(wrong)}")
        if ("observations" in tensors) != ("next_observations" in tensors) and "next_observations" in kept:
            raise ValueError("observations and next_observations belong together: replace both or neither")
        other = Trajectories(**(kept | self.bounds() | tensors))
        if "observations" not in tensors:
            other.observations = self.observations  # in their precision, also where a part does not need it
            if "next_observations" not in tensors:
                other.next_observations = self.next_observations
        return other

    def transitions(self) -> Transitions:
        """(s, a, r, s', terminal) as methods need them that learn from single steps.

        s' is the state of the next row of the same episode. The row that a timeout cut has none in the data: it has the
        recorded `next_observations` where the data hold them, and is left out where they do not. After a terminal nothing
        counts, so s' is the state itself.

        Raises:
            ValueError: every transition was cut by a timeout, and no state after it was recorded.
        """
        cut = self.timeouts & ~self.terminals
        following = torch.cat([self.observations[1:], self.observations[-1:]])
        if self.next_observations is not None:
            following = torch.where(cut[:, None], self.next_observations, following)
        following = torch.where(self.terminals[:, None], self.observations, following)
        transitions = Transitions(self.observations, self.actions, self.rewards, following, self.terminals)
        if self.next_observations is not None or not cut.any():
            return transitions
        if cut.all():
            raise ValueError("no transition has a next state: every one was cut by a timeout")
        return transitions[(~cut).nonzero().squeeze(1)]

    def steps(self) -> NumberedSteps:
        """(s, a) and the row of every transition."""
        return NumberedSteps(self.observations, self.actions, torch.arange(len(self), device=self.device))

    def windows(self, length: int, *, forward: bool = False) -> Windows:
        """Every stretch of `length` successive transitions, those at the start of an episode padded on the left.

        Args:
            length: transitions of a window.
            forward: whether a window begins with its transition, and is padded after the end of the episode; otherwise it
                ends with it.

        Raises:
            ValueError: `length` below 1.
        """
        first = torch.repeat_interleave(self.episode_starts, self.episode_lengths)
        rows = torch.arange(len(self), device=self.device)
        last = first + torch.repeat_interleave(self.episode_lengths, self.episode_lengths) - 1
        return Windows(rows - first, length, last - rows if forward else None)

    def select_episodes(self, keep: Bool[Tensor, " E"] | ArrayLike) -> Trajectories:
        """Only the episodes whose flag in `keep`, shape (E,), is set, in their order.

        Raises:
            TypeError: `keep` holds no flags.
            ValueError: `keep` has not one flag per episode, or keeps none.
        """
        lengths, keep = self.episode_lengths, as_tensor("keep", keep, 1, torch.bool, self.device)
        if keep.shape != lengths.shape:
            raise ValueError(
                f"expected one flag for each of the {len(lengths)} episodes, got shape {tuple(keep.shape)}"
            )
        if not keep.any():
            raise ValueError("no episode is kept: expected at least one flag to be set")
        rows = torch.repeat_interleave(keep, lengths)
        return self._with({name: tensor[rows].contiguous() for name, tensor in self.tensors().items()})

    def _with(self, tensors: dict[str, Tensor]) -> Trajectories:
        """The same bounds with other tensors, which come from checked ones."""
        other = object.__new__(Trajectories)
        vars(other).update(vars(self) | tensors)
        return other

    def fingerprint(self) -> str:
        """A digest of the contents (sha256, 16 digits), which ties a resumed run to its data."""
        digest = hashlib.sha256()
        for name, tensor in (self.bounds() | self.tensors()).items():
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.cpu().numpy().reshape(-1).view(np.uint8))  # its bytes, without a copy
        return digest.hexdigest()[:16]
