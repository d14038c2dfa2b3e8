"""ToyMaze: a point in a bent corridor, with data of short walks that must be stitched together. Not a task of the paper."""

from __future__ import annotations

from collections import deque
from functools import cache, partial
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int

from sfbc_core.arrays import checked_count
from sfbc_core.tasks.cache import cached_trajectories
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

# A map with y pointing up: "#" is a wall, "S" the cell where episodes start, "G" the goal.
LAYOUT = (
    "S....",
    "####.",
    "####.",
    "####.",
    "G....",
)
STEP = 0.25  # the farthest that a step can move a coordinate; cells are 1 wide
# How far from a wall the point stops. A power of two, so that `edge - MARGIN` is exact in float32 and rounding never puts
# the point into the wall.
MARGIN = 2.0**-20
WALK = (15, 30)  # steps of the shortest and longest walk in the data; from start to goal takes at least 36
STEPS = 100  # time limit of an episode
ENV_ID = "sfbc/ToyMaze-v0"

# _MAP[x, y] is a cell's character. _WALLS has an extra rim of walls, so cell (x, y) is _WALLS[x + 1, y + 1].
_MAP = np.array([list(row) for row in LAYOUT[::-1]]).T
_WALLS = np.pad(_MAP == "#", 1, constant_values=True)
SIZE = _MAP.shape  # (width, height)
START, GOAL = (tuple(int(i) for i in np.argwhere(_MAP == sign)[0]) for sign in "SG")
FREE_CELLS: Int[np.ndarray, "C 2"] = np.argwhere(_MAP != "#")
# Where walks head for: the cells in which a corridor ends or turns, so that no walk turns back halfway along one.
_OPEN = ~_WALLS
_STRAIGHT = (_OPEN[:-2, 1:-1] & _OPEN[2:, 1:-1]) | (_OPEN[1:-1, :-2] & _OPEN[1:-1, 2:])
WAYPOINTS: Int[np.ndarray, "W 2"] = np.argwhere((_MAP != "#") & ~_STRAIGHT)


def is_wall(positions: Float[np.ndarray, "N 2"]) -> Bool[np.ndarray, " N"]:
    """Whether positions lie in a wall or outside the maze."""
    x, y = np.clip(np.floor(positions).astype(int), -1, SIZE).T
    return _WALLS[x + 1, y + 1]


def in_goal(positions: Float[np.ndarray, "N 2"]) -> Bool[np.ndarray, " N"]:
    """Whether positions lie in the goal cell."""
    return (np.floor(positions) == GOAL).all(1)


def advance(positions: Float[np.ndarray, "N 2"], actions: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
    """Move many points by one step: by STEP · action until they meet a wall, then along the wall.

    A step is shorter than a cell, so each coordinate crosses at most one edge of its cell. The coordinate that reaches its
    edge first is moved first. By then it is known in which cell the other one meets its edge, and the result is exact.
    """
    positions = np.asarray(positions, dtype=np.float32)
    displacement = STEP * np.asarray(actions, dtype=np.float64)
    target = (positions + displacement).astype(np.float32)
    cell = np.floor(positions).astype(int)
    to_edge, speed = np.abs(cell + (displacement > 0) - positions), np.abs(displacement)
    # y before x if to_edge_y / speed_y < to_edge_x / speed_x, without a division that could overflow
    first = (to_edge[:, 1] * speed[:, 0] < to_edge[:, 0] * speed[:, 1]).astype(int)
    rows = np.arange(len(positions))
    for axis in (first, 1 - first):
        one_cell = np.eye(2, dtype=int)[axis]  # (N, 2), along the axis
        edge = cell[rows, axis]  # the lower one of the cell
        low = np.where(_WALLS[tuple((cell - one_cell + 1).T)], edge + MARGIN, -np.inf)
        high = np.where(_WALLS[tuple((cell + one_cell + 1).T)], edge + 1 - MARGIN, np.inf)
        target[rows, axis] = np.clip(target[rows, axis], low, high)
        cell[rows, axis] = np.floor(target[rows, axis])
    return target


@cache
def _distances() -> Int[np.ndarray, "X Y X Y"]:
    """How many cells apart two cells are along the corridors, by breadth-first search from each; -1 for walls."""
    distances = np.full((*SIZE, *SIZE), -1)
    for origin in map(tuple, FREE_CELLS):
        distances[(*origin, *origin)] = 0
        queue = deque([origin])
        while queue:
            x, y = queue.popleft()
            for neighbor in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if not _WALLS[neighbor[0] + 1, neighbor[1] + 1] and distances[(*origin, *neighbor)] < 0:
                    distances[(*origin, *neighbor)] = distances[(*origin, x, y)] + 1
                    queue.append(neighbor)
    return distances


@cache
def _next_cells() -> Int[np.ndarray, "X Y X Y 2"]:
    """next_cells[target][cell]: the neighbor of `cell` on the way to `target`; at the target, the cell itself."""
    distances = _distances()
    result = np.zeros((*SIZE, *SIZE, 2), dtype=int)
    for target in map(tuple, FREE_CELLS):
        for cell in map(tuple, FREE_CELLS):
            neighbors = [other for other in map(tuple, FREE_CELLS) if distances[(*cell, *other)] <= 1]
            result[(*target, *cell)] = min(neighbors, key=lambda neighbor: distances[(*target, *neighbor)])
    return result


def way_to_goal(positions: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, " N"]:
    """How far it is to the center of the goal, in cells, through the centers of the cells on the way; 0 in the goal cell.

    Only the longer coordinate of each straight piece counts, so the distance divided by STEP is a number of steps.
    """
    cell = np.floor(positions).astype(int)
    next_cell = _next_cells()[(*GOAL, *cell.T)]
    to_next = np.abs(next_cell + 0.5 - positions).max(1)
    return np.where(in_goal(positions), 0.0, to_next + _distances()[(*GOAL, *next_cell.T)])


class ToyMazeEnv(gymnasium.Env):
    """State (x, y); the action is a displacement in [-1, 1]², where 1 is a quarter of a cell. The point slides along walls.

    It starts anywhere in the start cell, at the far end of the corridor. In the goal cell it earns a reward of 1 and the
    episode ends. The limit of 100 steps is gymnasium's TimeLimit, so a point that is too slow is truncated and not
    terminated.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 30}
    max_episode_steps: ClassVar[int] = STEPS  # for whoever steps it without gymnasium's TimeLimit

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.render_mode = render_mode
        self.observation_space = spaces.Box(np.zeros(2, dtype=np.float32), np.array(SIZE, dtype=np.float32))
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode; ``options={"position": (x, y)}`` sets its first state, which is drawn otherwise.

        Raises:
            ValueError: the position is in a wall or in the goal.
        """
        super().reset(seed=seed)
        start = (options or {}).get("position", np.array(START) + self.np_random.uniform(MARGIN, 1 - MARGIN, 2))
        self.position = np.asarray(start, dtype=np.float32)
        if self.position.shape != (2,) or is_wall(self.position[None])[0] or in_goal(self.position[None])[0]:
            raise ValueError(f"expected a position (x, y) in a free cell other than the goal, got {start}")
        return self.position.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Apply a displacement; one outside [-1, 1] is an error."""
        action = np.asarray(action, dtype=np.float32)
        if action.shape != (2,) or not (np.abs(action) <= 1).all():
            raise ValueError(f"the action must be two numbers in [-1, 1], got {action}")
        self.position = advance(self.position[None], action[None])[0]
        reached = bool(in_goal(self.position[None])[0])
        return self.position.copy(), float(reached), reached, False, {}

    def render(self) -> np.ndarray | None:
        """A picture of the maze, (300, 300, 3) bytes: walls, start, goal and the point."""
        if self.render_mode != "rgb_array":
            return None
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3, 3), dpi=100, layout="none")  # "none": whatever the user's own settings say
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        draw_maze(axes)
        axes.plot(*self.position, "o", color="tab:blue", ms=9, zorder=5)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def draw_maze(axes: Any) -> None:
    """Draw walls, start ("S") and goal (star) into matplotlib axes, in the coordinates of the states."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    walls = [Rectangle(corner - 1.0, 1, 1) for corner in np.argwhere(_WALLS)]
    axes.add_collection(PatchCollection(walls, facecolor="0.35", edgecolor="0.35", zorder=2))
    axes.text(START[0] + 0.5, START[1] + 0.5, "S", ha="center", va="center", weight="bold", zorder=4)
    axes.plot(GOAL[0] + 0.5, GOAL[1] + 0.5, "*", color="tab:red", mec="white", ms=14, zorder=4)
    axes.set(xlim=(-0.1, SIZE[0] + 0.1), ylim=(-0.1, SIZE[1] + 0.1), aspect="equal", xticks=[], yticks=[])


def generate(transitions: int = 20_000, seed: int = 0) -> Trajectories:
    """Aimless walks: each starts anywhere in the maze and heads, with noise, for one random bend or end after another.

    Each walk has its own speed, U(0.7, 1). A timeout cuts it off after 15 to 30 steps, unless it happens to reach the goal,
    which is a terminal. None is long enough to lead from the start cell to the goal: the way has to be pieced together.

    Raises:
        ValueError: `transitions` or `seed` is no whole number, or `transitions` is less than 1 or `seed` less than 0.
    """
    transitions, seed = checked_count("transitions", transitions), checked_count("seed", seed, least=0)
    rng = np.random.default_rng(seed)
    columns: list[tuple[np.ndarray, ...]] = []
    while (missing := transitions - sum(len(column[2]) for column in columns)) > 0:
        # Enough even if every walk had the least number of steps. Only reaching the goal makes one shorter still, so
        # there is hardly ever a second round.
        columns.append(_walk(-(-missing // WALK[0]), rng))
    observations, actions, rewards, terminals, timeouts = (
        np.concatenate(parts)[:transitions] for parts in zip(*columns, strict=True)
    )
    timeouts[-1] |= not terminals[-1]
    return Trajectories(observations, actions, rewards, terminals, timeouts)


def _walk(walks: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Many walks side by side; each one's steps are kept until it ends, one episode after the other."""
    not_goal = FREE_CELLS[(FREE_CELLS != GOAL).any(1)]
    positions = rng.choice(not_goal, walks) + rng.uniform(MARGIN, 1 - MARGIN, (walks, 2))
    positions = positions.astype(np.float32)
    targets = rng.choice(WAYPOINTS, walks)
    speed = rng.uniform(0.7, 1.0, (walks, 1))
    length = rng.integers(WALK[0], WALK[1] + 1, (walks, 1))
    states, actions = (np.empty((walks, WALK[1], 2), dtype=np.float32) for _ in range(2))
    reached = np.zeros((walks, WALK[1]), dtype=bool)
    for step in range(WALK[1]):
        cell = np.floor(positions).astype(int)
        arrived = (cell == targets).all(1)
        targets[arrived] = rng.choice(WAYPOINTS, arrived.sum())
        direction = _next_cells()[(*targets.T, *cell.T)] + 0.5 - positions
        # Full speed, unless the center of the next cell is less than a step away.
        direction /= np.maximum(np.abs(direction).max(1, keepdims=True), STEP)
        states[:, step] = positions
        actions[:, step] = np.clip(speed * direction + rng.normal(0, 0.3, direction.shape), -1, 1)
        positions = advance(positions, actions[:, step])
        reached[:, step] = in_goal(positions)
    last = np.arange(WALK[1]) == length - 1
    over = reached | last
    kept = np.cumsum(over, axis=1) - over == 0  # the walk was not over before this step
    terminals = (reached & kept)[kept]
    timeouts = (last & ~reached)[kept]
    return states[kept], actions[kept], terminals.astype(np.float32), terminals, timeouts


def make_task(name: str) -> Task:
    """The task ``toy-maze``; a return of 1 scores 100."""

    def load_trajectories(transitions: int = 20_000, seed: int = 0) -> Trajectories:
        """Generate the data set, or read it from the cache."""
        transitions, seed = checked_count("transitions", transitions), checked_count("seed", seed, least=0)
        return cached_trajectories(f"{name}-{transitions}-{seed}", partial(generate, transitions, seed))

    return Task(name, partial(gymnasium.make, ENV_ID), load_trajectories, reference_returns=(0.0, 1.0))
