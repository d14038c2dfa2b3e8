"""From candidates to an action: drawn by softmax(αQ), the best, or the mean of a few of either kind (Section 3.2, B.1)."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfbc_core.arrays import check_finite, check_tensor
from sfbc_core.randomness import RandomSource, standard_uniform

Mode = Literal["sample", "greedy", "mean_of_sample", "mean_of_best"]
AVERAGING: tuple[Mode, ...] = ("mean_of_sample", "mean_of_best")

# Half a step of the uniform draws near 0, in place of 0: no candidate is chosen for certain whatever its weight.
SMALLEST = 2.0**-25


def check_inverse_temperature(alpha: float, name: str = "alpha") -> None:
    """Refuse an inverse temperature α that is negative or not finite.

    Raises:
        ValueError: it is.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"{name} must be finite and >= 0, got {alpha}; its limit of infinity is the greedy choice")


def selection_weights(q: Float[Tensor, "S M"], alpha: float) -> Float[Tensor, "S M"]:
    """softmax(αQ) over the candidates of each state, shape (S, M); safe for any finite α >= 0.

    Raises:
        TypeError: q that is no tensor of real numbers.
        ValueError: `alpha` negative or not finite, no candidates, or q that is not finite or of another shape.
    """
    return torch.softmax(_logits(q, alpha), dim=1)


def select_actions(
    candidates: Float[Tensor, "S M A"],
    q: Float[Tensor, "S M"],
    alpha: float = 20.0,
    mode: Mode = "sample",
    *,
    averaged: int = 4,
    generator: RandomSource | None = None,
) -> Float[Tensor, "S A"]:
    """One action for every state out of its M candidates, which were drawn from the behavior policy μ.

    Args:
        candidates: shape (S, M, A).
        q: their Q, shape (S, M).
        alpha: inverse temperature of the modes that draw, in units of 1/q.
        mode: "sample" resamples with weights softmax(αQ), so that the law of the action tends to π ∝ μ exp(αQ) (Eq. 8) as
            M grows; "greedy" takes the highest Q (the limit α → ∞, what the paper evaluates); "mean_of_best" averages the
            `averaged` candidates of highest Q (the paper's locomotion tasks, with 4); "mean_of_sample" averages as many that
            are drawn without replacement with the weights of "sample" (public code for these tasks, with α = 100).
        averaged: how many candidates the two means are of.
        generator: for the modes that draw; one, or one for each state.

    Raises:
        TypeError: candidates or q that are no tensors of real numbers.
        ValueError: shapes or devices that disagree, NaN or infinity, an unknown mode, `averaged` outside 1…M, a mode
            that draws and no generator.
    """
    candidates, q = check_tensor("candidates", candidates, "SMA"), check_tensor("q", q, "SM")
    check_finite("candidates", candidates)
    if candidates.device != q.device:
        raise ValueError(f"expected candidates and q on one device, got {candidates.device} and {q.device}")
    if candidates.shape[:2] != q.shape:
        raise ValueError(
            f"expected q of shape {tuple(candidates.shape[:2])} for these candidates, got {tuple(q.shape)}"
        )
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {get_args(Mode)}, got {mode!r}")
    if mode in ("sample", "mean_of_sample") and generator is None:
        raise ValueError(f"mode {mode!r} needs a generator, got None")
    if mode in AVERAGING and not 1 <= averaged <= q.shape[1]:
        raise ValueError(f"averaged must lie between 1 and the {q.shape[1]} candidates, got {averaged}")
    if mode == "sample":
        chosen = resample(selection_weights(q, alpha), generator)
    elif mode == "mean_of_sample":
        chosen = draw_without_replacement(_logits(q, alpha), averaged, generator)
    elif mode == "greedy":
        chosen = _checked(q).argmax(1, keepdim=True)
    else:
        chosen = _checked(q).topk(averaged, dim=1).indices
    return candidates.gather(1, chosen[:, :, None].expand(-1, -1, candidates.shape[2])).mean(1)


def effective_sample_size(q: Float[Tensor, "S M"], alpha: float) -> Float[Tensor, " S"]:
    """(Σ w)² / Σ w² of the selection weights: how many candidates the choice is really between, from 1 to M.

    Raises:
        TypeError, ValueError: as :func:`selection_weights`.
    """
    return 1 / selection_weights(q, alpha).square().sum(1)


def resample(weights: Float[Tensor, "S M"], generator: RandomSource) -> Int[Tensor, "S 1"]:
    """One index a row with a probability proportional to `weights`, by inverting their cumulative sum; shape (S, 1)."""
    cumulative = weights.double().cumsum(1)
    uniform = standard_uniform((len(weights), 1), generator, weights.device)
    index = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return index.clamp_max(weights.shape[1] - 1)


def draw_without_replacement(
    logits: Float[Tensor, "S M"], count: int, generator: RandomSource
) -> Int[Tensor, "S count"]:
    """`count` indices a row, drawn one after the other among those that are left, with probabilities ∝ exp(logits).

    The k largest of logits + Gumbel noise have this law (Efraimidis and Spirakis, 2006, with u^(1/w) for weights w).
    """
    uniform = standard_uniform(logits.shape, generator, logits.device).double().clamp_min(SMALLEST)
    gumbel = -torch.log(-torch.log1p(-uniform))  # 1 - u is as uniform as u, and never 0
    return (logits.double() + gumbel).topk(count, dim=1).indices


def _logits(q: Tensor, alpha: float) -> Tensor:
    check_inverse_temperature(alpha)
    q = _checked(q)
    # The gap to the best is at most 0 and is formed before the product, so a large α can neither overflow nor lose digits.
    return alpha * (q - q.max(1, keepdim=True).values)


def _checked(q: Tensor) -> Tensor:
    q = check_tensor("q", q, "SM")
    if q.shape[1] == 0:
        raise ValueError("expected at least one candidate a state, got 0")
    check_finite("q", q)
    return q
