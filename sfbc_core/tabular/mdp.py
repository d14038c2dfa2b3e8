"""Finite Markov decision processes: the arrays, and values by linear algebra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

ROUNDING = 1e-9  # by how much probabilities may miss their sum


@dataclass(frozen=True, eq=False)
class TabularMDP:
    """States 0 … S-1, actions 0 … A-1, all probabilities and rewards known.

    A terminal state is absorbing and pays nothing: a reward for reaching it belongs to the transition into it. A random
    reward is one that depends on the next state.

    Attributes:
        transition: P(s' | s, a), shape (S, A, S).
        reward: r(s, a, s'), shape (S, A, S).
        discount: γ, in [0, 1).
        terminal: which states end an episode, shape (S,).

    Raises:
        ValueError: shapes that disagree, rows of P that are not probabilities, rewards that are not finite, a discount
            outside [0, 1), or a terminal state that can be left or pays.
    """

    transition: Float[np.ndarray, "S A S"]
    reward: Float[np.ndarray, "S A S"]
    discount: float
    terminal: Bool[np.ndarray, " S"]

    def __post_init__(self) -> None:
        shape = self.transition.shape
        if len(shape) != 3 or shape[0] != shape[2] or 0 in shape:
            raise ValueError(f"transition must have shape (S, A, S) with S, A >= 1, got {shape}")
        if self.reward.shape != shape or self.terminal.shape != shape[:1]:
            raise ValueError(
                f"expected reward of shape {shape} and terminal of shape {shape[:1]}, "
                f"got {self.reward.shape} and {self.terminal.shape}"
            )
        check_probabilities("transition", self.transition)
        if not np.isfinite(self.reward).all():
            raise ValueError("rewards must be finite, found NaN or infinity")
        if not 0 <= self.discount < 1:
            raise ValueError(f"discount must lie in [0, 1), got {self.discount}")
        ends = np.flatnonzero(self.terminal)
        if (self.transition[ends, :, ends] < 1 - ROUNDING).any() or self.reward[ends, :, ends].any():
            raise ValueError(f"terminal states must stay where they are and pay nothing; those declared are {ends}")

    @property
    def num_states(self) -> int:
        """S."""
        return self.transition.shape[0]

    @property
    def num_actions(self) -> int:
        """A."""
        return self.transition.shape[1]

    @property
    def expected_reward(self) -> Float[np.ndarray, "S A"]:
        """r(s, a) = Σ_s' P(s' | s, a) r(s, a, s')."""
        return (self.transition * self.reward).sum(2)

    @property
    def is_deterministic(self) -> bool:
        """Whether every action has one possible next state."""
        return bool((self.transition.max(2) > 1 - ROUNDING).all())


def check_probabilities(name: str, probabilities: Float[np.ndarray, "*rows n"]) -> None:
    """Refuse an array whose last axis does not hold probabilities, with a message that says which sum came."""
    sums = probabilities.sum(-1)
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and np.allclose(sums, 1, atol=ROUNDING)):
        raise ValueError(
            f"{name} must hold probabilities along its last axis (>= 0, summing to 1); its smallest entry is "
            f"{probabilities.min():g}, its sums run from {sums.min():g} to {sums.max():g}"
        )


def check_policy(mdp: TabularMDP, policy: Float[np.ndarray, "S A"], name: str = "policy") -> None:
    """Refuse a policy that does not fit the process or is not one."""
    expected = (mdp.num_states, mdp.num_actions)
    if policy.shape != expected:
        raise ValueError(f"{name} must have shape (S, A) = {expected}, got {policy.shape}")
    check_probabilities(name, policy)


def policy_q(mdp: TabularMDP, policy: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S A"]:
    """Q^π, the fixed point of T_π, by solving (I - γ P_π) V = r_π.

    Raises:
        ValueError: `policy` does not fit.
    """
    check_policy(mdp, policy)
    chain = np.einsum("sa,sat->st", policy, mdp.transition)  # (S, S)
    value = np.linalg.solve(np.eye(mdp.num_states) - mdp.discount * chain, (policy * mdp.expected_reward).sum(1))
    return mdp.expected_reward + mdp.discount * mdp.transition @ value


def optimal_q(mdp: TabularMDP, support: Bool[np.ndarray, "S A"] | None = None) -> Float[np.ndarray, "S A"]:
    """Q*, the fixed point of T*, by policy iteration; with `support`, of the best policy among the supported actions.

    With support = (μ > 0) it is the best that can be done with actions that the data hold, to which every in-sample
    method is bounded. The action that Q(s, a) itself is about may be any.

    Raises:
        ValueError: a state in which no action is supported.
    """
    allowed = np.ones((mdp.num_states, mdp.num_actions), dtype=bool) if support is None else support
    if allowed.shape != (mdp.num_states, mdp.num_actions) or not allowed.any(1).all():
        raise ValueError("support must have shape (S, A) and allow at least one action in every state")
    rows = np.arange(mdp.num_states)
    actions = allowed.argmax(1)
    while True:
        policy = np.zeros(allowed.shape)
        policy[rows, actions] = 1.0
        q = policy_q(mdp, policy)
        allowed_q = np.where(allowed, q, -np.inf)
        # Change an action only for a gain beyond rounding: two equal actions would otherwise take turns for ever.
        gain = allowed_q.max(1) - q[rows, actions]
        better = gain > ROUNDING * (1 + np.abs(q).max())
        if not better.any():
            return q
        actions = np.where(better, allowed_q.argmax(1), actions)
