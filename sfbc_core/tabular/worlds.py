"""Finite MDPs to try things on: random ones, mazes with walls and cliffs, and chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sfbc_core.tabular.mdp import TabularMDP

MOVES = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}  # (row, column)
ACTIONS = tuple(MOVES)


def random_mdp(
    rng: np.random.Generator,
    states: int,
    actions: int,
    *,
    branching: int = 2,
    discount: float = 0.9,
    num_terminal: int = 0,
) -> TabularMDP:
    """Every action leads to `branching` random states with random probabilities; rewards are uniform in [-1, 1].

    With branching = 1 the MDP is deterministic. Rewards depend on the next state too.

    Raises:
        ValueError: no state or action, branching outside 1 … S, or not 0 <= num_terminal < S.
    """
    if states < 1 or actions < 1 or not 1 <= branching <= states or not 0 <= num_terminal < states:
        raise ValueError(
            "expected states, actions >= 1, 1 <= branching <= states and 0 <= num_terminal < states, got "
            f"{states}, {actions}, {branching} and {num_terminal}"
        )
    transition = np.zeros((states, actions, states))
    for row in transition.reshape(-1, states):
        row[rng.permutation(states)[:branching]] = rng.dirichlet(np.ones(branching))
    reward = rng.uniform(-1, 1, transition.shape)
    terminal = np.arange(states) >= states - num_terminal
    return close_terminals(transition, reward, discount, terminal)


def random_policy(
    rng: np.random.Generator, states: int, actions: int, *, full_support: bool = True
) -> Float[np.ndarray, "S A"]:
    """Random probabilities in every state, (S, A); without `full_support`, about half of the actions are never taken."""
    policy = rng.dirichlet(np.full(actions, 0.7), size=states) + 1e-3
    if not full_support:
        taken = rng.random(policy.shape) < 0.5
        taken[np.arange(states), rng.integers(actions, size=states)] = True
        policy *= taken
    return policy / policy.sum(1, keepdims=True)


def close_terminals(
    transition: Float[np.ndarray, "S A S"],
    reward: Float[np.ndarray, "S A S"],
    discount: float,
    terminal: Bool[np.ndarray, " S"],
) -> TabularMDP:
    """The MDP in which the terminal states are made absorbing and unpaid, whatever their rows held.

    Raises:
        ValueError: as of :class:`~sfbc_core.tabular.mdp.TabularMDP`.
    """
    transition, reward = transition.copy(), reward.copy()
    ends = np.flatnonzero(terminal)
    transition[ends] = 0.0
    transition[ends, :, ends] = 1.0
    reward[ends] = 0.0
    return TabularMDP(transition, reward, discount, terminal)


@dataclass(frozen=True, eq=False)
class GridWorld:
    """A maze as an MDP, with what is needed to draw it.

    Attributes:
        mdp: its states are the free cells, row by row; its actions are ``ACTIONS``.
        layout: the rows of the map.
        cells: (row, column) of every state, shape (S, 2).
    """

    mdp: TabularMDP
    layout: tuple[str, ...]
    cells: Int[np.ndarray, "S 2"]

    def find(self, letter: str) -> list[int]:
        """The states whose cell holds that letter."""
        return [i for i, (row, column) in enumerate(self.cells) if self.layout[row][column] == letter]

    def to_map(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, "H W"]:
        """Values laid out as the maze, NaN in the walls."""
        picture = np.full((len(self.layout), len(self.layout[0])), np.nan)
        picture[tuple(self.cells.T)] = values
        return picture


def gridworld(
    layout: Sequence[str],
    *,
    slip: float = 0.0,
    discount: float = 0.95,
    step_reward: float = 0.0,
    goal_reward: float = 1.0,
    cliff_reward: float = -1.0,
) -> GridWorld:
    """A maze from a map: ``#`` wall, ``.`` floor, ``S`` start (floor too), ``G`` goal, ``C`` cliff; outside is wall.

    Moving into a wall leaves the walker where it is. Goal and cliff are terminal. With probability `slip` a move goes to one
    of the two sides instead.

    Raises:
        ValueError: rows of unequal length, an unknown letter, no free cell, or slip outside [0, 1].
    """
    rows = tuple(layout)
    if not rows or len({len(row) for row in rows}) != 1:
        raise ValueError(f"the rows of a map must have one length, got {[len(row) for row in rows]}")
    if unknown := set("".join(rows)) - set("#.SGC"):
        raise ValueError(f"a map holds the letters # . S G C, got {sorted(unknown)}")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip must lie in [0, 1], got {slip}")
    letters = np.array([list(row) for row in rows])
    cells = np.argwhere(letters != "#")
    if not len(cells):
        raise ValueError("the map has no free cell")
    index = {tuple(cell): i for i, cell in enumerate(cells.tolist())}
    arrival = np.select([letters == "G", letters == "C"], [goal_reward, cliff_reward], step_reward)[tuple(cells.T)]
    transition = np.zeros((len(cells), len(MOVES), len(cells)))
    moves = list(MOVES.values())
    for state, (row, column) in enumerate(cells.tolist()):
        # A move into a wall, or over the edge, ends where it began.
        ahead = [index.get((row + down, column + right), state) for down, right in moves]
        for action in range(len(moves)):
            for turn, probability in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
                transition[state, action, ahead[(action + turn) % len(moves)]] += probability
    reward = np.broadcast_to(arrival, transition.shape)
    terminal = np.isin(letters, ("G", "C"))[tuple(cells.T)]
    return GridWorld(close_terminals(transition, reward, discount, terminal), rows, cells)


def lottery(home_reward: float = 0.1, discount: float = 0.5) -> TabularMDP:
    """A ticket that is worth nothing. States: start, lottery, won, lost, home; the last three are ends.

    From the start, action 0 enters the lottery and pays nothing; action 1 goes home and pays `home_reward`. In the lottery,
    either action wins 1 or loses 1 with equal chances.
    """
    transition, reward = np.zeros((5, 2, 5)), np.zeros((5, 2, 5))
    transition[0, 0, 1] = transition[0, 1, 4] = 1.0
    transition[1, :, 2:4] = 0.5
    reward[0, 1, 4], reward[1, :, 2], reward[1, :, 3] = home_reward, 1.0, -1.0
    return close_terminals(transition, reward, discount, np.arange(5) >= 2)


def stay_or_leave(discount: float = 0.9) -> TabularMDP:
    """One state and an end. Action 0 stays and pays 1, action 1 leaves and pays nothing."""
    transition, reward = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = 1.0
    reward[0, 0, 0] = 1.0
    return close_terminals(transition, reward, discount, np.array([False, True]))


def stitching_chain(length: int, discount: float = 0.9) -> tuple[TabularMDP, Float[np.ndarray, "S A"]]:
    """A line of cells that hardly any recorded walk follows to its end, and the behavior policy of the walks.

    From cell i, action 0 goes on to i + 1 and action 1 gives up, which ends the episode with nothing. Going on from the
    last cell pays 1 and ends it. In every cell, half of the walks that come by give up: a walk from cell 0 arrives with
    probability 2^-length, but every single step of the way is common.

    Returns:
        the MDP with length + 2 states (cells 0 … length - 1, goal, given up) and μ.

    Raises:
        ValueError: length below 1.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    states, goal, gave_up = length + 2, length, length + 1
    transition = np.zeros((states, 2, states))
    cells = np.arange(length)
    transition[cells, 0, cells + 1] = 1.0
    transition[:, 1, gave_up] = 1.0
    reward = np.zeros_like(transition)
    reward[:, 0, goal] = 1.0
    mdp = close_terminals(transition, reward, discount, np.arange(states) >= goal)
    return mdp, np.full((states, 2), 0.5)
