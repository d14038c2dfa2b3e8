"""Targets for values: discounted returns, planned returns (Eq. 12), those of TD(λ), and soft values (Eq. 13)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, get_args

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.arrays import ArrayLike, as_tensor, check_finite
from sfbc_core.selection import selection_weights
from sfbc_core.trajectories import Trajectories

TimeoutRule = Literal["bootstrap", "cut"]
MaximumOn = Literal["next", "current"]


def discounted_returns(trajectories: Trajectories, discount: float = 0.99) -> Float[Tensor, " N"]:
    """Vanilla returns R_n = r_n + γ R_(n+1) within each episode, the R^(0) of the paper.

    What would have come after the last transition is taken as zero. After a terminal that is exact; after a timeout it is
    all that can be said without a value function, and :func:`planned_returns` mends it.

    Returns:
        float64, shape (N,), on the device of the data.

    Raises:
        ValueError: `discount` outside [0, 1].
    """
    # A value of -∞ never wins the maximum, which leaves the plain return.
    never = torch.full((len(trajectories),), -torch.inf, dtype=torch.float64)
    return planned_returns(trajectories, never, discount, timeout="cut")


def unknown_share(trajectories: Trajectories, discount: float = 0.99) -> Float[Tensor, " N"]:
    """How much of the future a vanilla return does not know, because the recording was cut: γ^(steps until it was).

    :func:`discounted_returns` counts what came after a timeout as zero, so with rewards that stay alike the return lacks
    this share of its value; 0 where the episode ended in a terminal.

    Returns:
        float64, shape (N,), on the device of the data.

    Raises:
        ValueError: `discount` outside [0, 1].
    """
    cut = trajectories.timeouts & ~trajectories.terminals
    # The discounted return of one unit that would have come right after the cut.
    ones = trajectories.replace(rewards=cut.float())
    return discount * discounted_returns(ones, discount)


def planned_returns(
    trajectories: Trajectories,
    values: Float[Tensor, " N"] | ArrayLike,
    discount: float = 0.99,
    *,
    timeout: TimeoutRule = "bootstrap",
    max_on: MaximumOn = "next",
) -> Float[Tensor, " N"]:
    """R_n = r_n + γ max(R_(n+1), V_(n+1)) within each episode (Eq. 12): follow the data, or leave it where V promises more.

    Args:
        values: V_n = V(s_n) of every state in the data, shape (N,), in units of reward: a tensor, or an array or a list.
        discount: γ.
        timeout: what follows the last transition of an episode that was cut. The state after it is not in the data.
            "bootstrap": its value is taken to be that of the last state, R_n = r_n + γ V_n; "cut": zero, as after a terminal
            (what public code does; it teaches the critic that the recording's end is the task's end).
        max_on: "next" is Eq. 12. "current" is the widely used variant R_n = max(r_n + γ R_(n+1), V_n), which also replaces
            the return of the action that was taken by the value of its state, so a bad action inherits the value of a good
            one: for r = (0, 0, 1), V = (5, 0, 0), γ = 0.99 it gives (5, 0.99, 1) where Eq. 12 gives (0.9801, 0.99, 1).

    Returns:
        float64, shape (N,), on the device of the data; the same as a plain loop to the last bit.

    Raises:
        TypeError: values that are no real numbers.
        ValueError: a wrong number of values, NaN among them, an unknown option, or `discount` outside [0, 1].
    """
    if timeout not in get_args(TimeoutRule):
        raise ValueError(f"timeout must be one of {get_args(TimeoutRule)}, got {timeout!r}")
    if max_on not in get_args(MaximumOn):
        raise ValueError(f"max_on must be one of {get_args(MaximumOn)}, got {max_on!r}")
    return _backward(_planned_recursion, trajectories, values, discount, timeout == "bootstrap", max_on == "current")


def lambda_returns(
    trajectories: Trajectories,
    values: Float[Tensor, " N"] | ArrayLike,
    discount: float = 0.99,
    trace: float = 0.95,
) -> Float[Tensor, " N"]:
    """R_n = r_n + γ ((1 - λ) V_(n+1) + λ R_(n+1)) within each episode: the targets of TD(λ), see Sutton and Barto (12.18).

    What AWR learns from: with λ = 1 the return that was earned, with λ = 0 one step and then V.

    Args:
        values: V_n = V(s_n) of every state in the data, shape (N,), in units of reward: a tensor, or an array or a list.
        discount: γ.
        trace: λ. After the last transition of an episode that was cut, the value of its last state stands for what is not
            in the data, as in :func:`planned_returns`.

    Returns:
        float64, shape (N,), on the device of the data.

    Raises:
        TypeError: values that are no real numbers.
        ValueError: a wrong number of values, values that are not finite, or `discount` or `trace` outside [0, 1].
    """
    if not 0 <= trace <= 1:
        raise ValueError(f"trace must lie in [0, 1], got {trace}")
    values = as_tensor("values", values, 1, torch.float64, torch.device("cpu"))
    check_finite("values", values)
    return _backward(_lambda_recursion, trajectories, values, discount, float(trace))


def _backward(
    recursion: Callable[..., None],
    trajectories: Trajectories,
    values: Float[Tensor, " N"] | ArrayLike,
    discount: float,
    *options: Any,
) -> Float[Tensor, " N"]:
    """A recursion from the last transition to the first, over checked values."""
    values = as_tensor("values", values, 1, torch.float64, torch.device("cpu"))
    if values.shape != (len(trajectories),):
        raise ValueError(
            f"expected one value for each of the {len(trajectories)} transitions, got {tuple(values.shape)}"
        )
    if torch.isnan(values).any() or (values == torch.inf).any():
        raise ValueError("values must be numbers below infinity, got NaN or infinity")
    if not 0 <= discount <= 1:
        raise ValueError(f"discount must lie in [0, 1], got {discount}")
    result = np.empty(len(trajectories))
    _run_compiled(
        recursion,
        trajectories.rewards.cpu().double().numpy(),
        values.numpy(),
        trajectories.terminals.cpu().numpy(),
        trajectories.timeouts.cpu().numpy(),
        float(discount),
        *options,
        result,
    )
    return torch.from_numpy(result).to(trajectories.device)


@cache
def _compiled(recursion: Callable[..., None], kept: bool) -> Callable[..., None]:
    # The type checks of the tests wrap every function of the package; numba can compile only what is inside.
    return numba.njit(cache=kept)(inspect.unwrap(recursion))


def _run_compiled(recursion: Callable[..., None], *arguments: Any) -> None:
    """A recursion as machine code, which numba keeps on disk for the next process where it can."""
    try:
        _compiled(recursion, kept=True)(*arguments)
    except Exception:  # nowhere to write, a full disk, a damaged file: of many types, and none is a reason to stop
        _compiled(recursion, kept=False)(*arguments)


def _lambda_recursion(rewards, values, terminals, timeouts, discount, trace, result):  # pragma: no cover
    """One backward pass. Compiled, see :func:`_planned_recursion`."""
    later = 0.0
    for n in range(len(rewards) - 1, -1, -1):
        if terminals[n]:
            later = 0.0
        elif timeouts[n]:
            later = values[n]
        else:
            later = (1.0 - trace) * values[n + 1] + trace * later
        later = rewards[n] + discount * later
        result[n] = later


def _planned_recursion(
    rewards, values, terminals, timeouts, discount, bootstrap, on_current, result
):  # pragma: no cover
    """One backward pass. Compiled, without reassociation (no fastmath), so that it rounds as a Python loop does."""
    later = 0.0  # R_(n+1), or the stand-in for it at the end of an episode
    for n in range(len(rewards) - 1, -1, -1):
        if terminals[n]:
            later = 0.0
        elif timeouts[n]:
            later = values[n] if bootstrap else 0.0
        elif not on_current:
            later = max(later, values[n + 1])
        later = rewards[n] + discount * later
        if on_current:
            later = max(later, values[n])
        result[n] = later


def soft_value(q: Float[Tensor, "S M"], alpha: float) -> Float[Tensor, " S"]:
    """V(s) = E_(a~π) Q(s, a) ≈ Σ_i softmax_i(αQ(s, a_i)) Q(s, a_i) over M candidates a_i ~ μ (Eq. 13, Appendix B.1).

    Self-normalised importance sampling: α = 0 gives the mean of the candidates, α → ∞ their maximum.

    Args:
        q: Q of the candidates, shape (S, M).
        alpha: inverse temperature, >= 0, in units of 1/q.

    Returns:
        Shape (S,), in the units of q.

    Raises:
        TypeError, ValueError: as :func:`~sfbc_core.selection.selection_weights`.
    """
    return (selection_weights(q, alpha) * q).sum(1)
