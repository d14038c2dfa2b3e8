"""Is a behavior model faithful? What the rest of the algorithm believes of μ, checked before it is used."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.behavior.base import BehaviorModel
from sfbc_core.behavior.diffusion import DiffusionBehavior
from sfbc_core.randomness import make_generator
from sfbc_core.trajectories import Trajectories

AT_A_BOUND = 0.99  # of the way from the middle of the bounds to one of them
REFERENCE_STEPS = 100  # network evaluations that are taken for the exact solution
LOSS_DRAWS = 10  # noise levels at which each row's loss is averaged

# When a measure is called a fault. Rules of thumb: a model of a few thousand steps on a task of this book keeps them, and
# the faults that were met (too few solver steps, too short a training) do not.
EXCESS_AT_BOUNDS = 0.10
EXCESS_DISTANCE = 1.25
EXCESS_LOSS = 0.1
SOLVER_ERROR = 0.05


@dataclass(frozen=True)
class Fidelity:
    """How far a behavior model is from held-out data. Actions are scaled to [-1, 1], states standardised.

    A distance is the mean Euclidean one from a pair (state, action) to its nearest neighbor in another set of pairs of the
    same size. "Within the data", from held-out pairs to those of the data, is what no model can be expected to undercut.
    """

    bound_share: float  # share of the sampled actions with a coordinate at a bound
    bound_share_of_data: float  # the same of held-out actions
    distance_to_data: float  # from samples in held-out states to the data: large if samples lie where no action is
    distance_from_data: float  # from held-out pairs to samples: large if there are actions that are never sampled
    distance_within_data: float
    excess_loss: (
        float  # held-out loss minus the data's, in standard deviations of a row's loss: large if it has memorised
    )
    solver_error: float | None  # see `solver_error`; None for a model without a solver

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words; empty for a faithful model."""
        found = []
        if self.bound_share > self.bound_share_of_data + EXCESS_AT_BOUNDS:
            found.append(
                f"{self.bound_share:.0%} of the samples lie at a bound, {self.bound_share_of_data:.0%} of the data"
            )
        limit = EXCESS_DISTANCE * self.distance_within_data
        if self.distance_to_data > limit:
            found.append(f"samples lie {self.distance_to_data:.3f} from the data, more than {limit:.3f}")
        if self.distance_from_data > limit:
            found.append(f"the data lie {self.distance_from_data:.3f} from the samples, more than {limit:.3f}")
        if self.excess_loss > EXCESS_LOSS:
            found.append(
                f"the held-out loss is {self.excess_loss:.2f} deviations above the data's, more than {EXCESS_LOSS}"
            )
        if self.solver_error is not None and self.solver_error > SOLVER_ERROR:
            found.append(f"the solver's error is {self.solver_error:.3f}, more than {SOLVER_ERROR}")
        return found

    @property
    def verdict(self) -> str:
        """ "faithful", or what is wrong."""
        return "; ".join(self.problems) or "faithful"

    def to_dict(self) -> dict[str, float | str | None]:
        """The measures and the verdict by name, for a table."""
        return {**asdict(self), "verdict": self.verdict}

    def require(self) -> Fidelity:
        """Self, if it is faithful.

        Raises:
            ValueError: it is not; the message says why.
        """
        if self.problems:
            raise ValueError(f"the behavior model is not faithful: {self.verdict}")
        return self


@torch.no_grad()
def check_fidelity(
    model: BehaviorModel, data: Trajectories, held_out: Trajectories, *, rows: int = 2000, seed: int = 0
) -> Fidelity:
    """Compare one sample a state with held-out actions.

    Args:
        model: fitted to `data`.
        data: what it learned from.
        held_out: of the same kind and not learned from: generated with another seed, or episodes that were kept aside.
        rows: transitions of each that are compared, drawn at random; distances depend on it.
        seed: of all that is drawn.

    Raises:
        RuntimeError: the model is not fitted.
        ValueError: `held_out` has other dimensions than the model.
    """
    generator = make_generator(seed, "fidelity", device=model.device)
    rows = min(rows, len(data), len(held_out))
    pairs, samples, losses = [], [], []
    for part in (data, held_out):
        part = part.to(model.device)
        chosen = torch.randperm(len(part), generator=generator, device=model.device)[:rows]
        observations, actions = part.observations[chosen], part.actions[chosen]
        drawn = model.sample(observations, 1, generator)[:, 0]  # (rows, act)
        states = model.standardizer(observations)
        pairs.append(torch.cat([states, model.scaler.scale(actions)], dim=1))
        samples.append(torch.cat([states, model.scaler.scale(drawn)], dim=1))
        losses.append(_row_losses(model, *pairs[-1].split([model.observation_dim, model.action_dim], 1), generator))
    (data_pairs, held_out_pairs), (data_samples, held_out_samples) = pairs, samples
    deviation = float(losses[0].std(correction=0)) or 1.0
    return Fidelity(
        bound_share=_at_a_bound(held_out_samples[:, model.observation_dim :]),
        bound_share_of_data=_at_a_bound(held_out_pairs[:, model.observation_dim :]),
        distance_to_data=_nearest(held_out_samples, data_pairs),
        distance_from_data=_nearest(held_out_pairs, data_samples),
        distance_within_data=_nearest(held_out_pairs, data_pairs),
        excess_loss=float(losses[1].mean() - losses[0].mean()) / deviation,
        solver_error=solver_error(model, held_out.observations[:rows], seed=seed)
        if isinstance(model, DiffusionBehavior)
        else None,
    )


@torch.no_grad()
def solver_error(model: DiffusionBehavior, states: Float[Tensor, "S obs"], *, seed: int = 0) -> float:
    """Root mean square, over states and coordinates, of what the solver's few steps change in an action.

    The same noise is solved with the model's own solver and with 100 accurate steps; actions are scaled to [-1, 1].
    """
    exact = model.with_solver(type(model.config.solver).accurate(REFERENCE_STEPS))
    actions = [
        one.scaler.scale(one.sample(states.to(model.device), 1, make_generator(seed, "solver", device=model.device)))
        for one in (model, exact)
    ]
    return float((actions[0] - actions[1]).square().mean().sqrt())


def _row_losses(
    model: BehaviorModel,
    states: Float[Tensor, "N obs"],
    actions: Float[Tensor, "N act"],
    generator: torch.Generator,
) -> Float[Tensor, " N"]:
    """The loss of each row, averaged over what is drawn in it."""
    return sum(model.loss(states, actions, generator) for _ in range(LOSS_DRAWS)) / LOSS_DRAWS


def _at_a_bound(actions: Float[Tensor, "N act"]) -> float:
    return float((actions.abs() >= AT_A_BOUND).any(1).double().mean())


def _nearest(points: Float[Tensor, "N dim"], others: Float[Tensor, "M dim"]) -> float:
    """Mean distance from a point to the nearest of the others."""
    return float(torch.cdist(points, others).amin(1).mean())
