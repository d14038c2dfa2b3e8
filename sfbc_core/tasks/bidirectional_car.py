"""Bidirectional-Car (Sections 3.1 and 6.2): a car between two equally good ends, and its mixed data."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from sfbc_core.arrays import checked_count
from sfbc_core.tasks.cache import cached_trajectories
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

END = 10.0  # beyond this |x| the car has reached an end
TOP_SPEED = 5.0
STEPS = 100  # time limit of an episode
ENV_ID = "sfbc/BidirectionalCar-v0"


def advance(position: Any, speed: Any, throttle: Any) -> tuple[Any, Any]:
    """One step of the car: x += a v / 10, then v = clip(v + 0.05 |a|, 0, 5). Works on numbers and on arrays."""
    position = position + throttle * speed / 10
    return position, np.clip(speed + 0.05 * np.abs(throttle), 0.0, TOP_SPEED)


class BidirectionalCarEnv(gymnasium.Env):
    """State (position x, speed v); the action is a throttle in [-1, 1]: its sign is the direction.

    The car starts at x ~ U(-1, 1) with v = 0. Once |x| > 10 it earns a reward of 1 and the episode ends. The limit of 100
    steps is gymnasium's TimeLimit, so a car that is too slow is truncated and not terminated.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 30}
    max_episode_steps: ClassVar[int] = STEPS  # for whoever steps it without gymnasium's TimeLimit

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.render_mode = render_mode
        # The last step takes the car up to a v / 10 = 0.5 past an end.
        reach = np.array([END + 0.5, TOP_SPEED], dtype=np.float32)
        self.observation_space = spaces.Box(np.array([-reach[0], 0.0], dtype=np.float32), reach)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode; ``options={"position": x, "speed": v}`` sets its first state, which is drawn otherwise."""
        super().reset(seed=seed)
        options = options or {}
        self.position = float(options.get("position", self.np_random.uniform(-1, 1)))
        self.speed = float(options.get("speed", 0.0))
        self.throttle = 0.0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Apply a throttle; one outside [-1, 1] is an error."""
        throttle = float(np.asarray(action).item())
        if not -1 <= throttle <= 1:
            raise ValueError(f"the throttle must lie in [-1, 1], got {throttle}")
        self.throttle = throttle
        position, speed = advance(self.position, self.speed, throttle)
        self.position, self.speed = float(position), float(speed)
        reached = abs(self.position) > END
        return self._observation(), float(reached), reached, False, {}

    def _observation(self) -> np.ndarray:
        return np.array([self.position, self.speed], dtype=np.float32)

    def render(self) -> np.ndarray | None:
        """A picture of the road, (120, 480, 3) bytes: the car, its throttle as an arrow, and the two ends."""
        if self.render_mode != "rgb_array":
            return None
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import FancyBboxPatch

        figure = Figure(figsize=(4.8, 1.2), dpi=100, layout="none")  # "none": whatever the user's own settings say
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-12, 12), ylim=(-1.5, 4.5))
        axes.axis("off")
        axes.axhline(0, color="0.3", lw=2)
        for end in (-END, END):
            axes.plot([end, end], [0, 3], color="tab:red", lw=3)
        axes.add_patch(
            FancyBboxPatch((self.position - 0.6, 0.15), 1.2, 0.8, boxstyle="round,pad=0.1", color="tab:blue")
        )
        if self.throttle:
            arrow = {"arrowstyle": "->", "color": "tab:orange", "lw": 2}
            tip = self.position + 2.5 * self.throttle
            axes.annotate("", xy=(tip, 2), xytext=(self.position, 2), arrowprops=arrow)
        axes.text(-11.8, 3.9, f"x = {self.position:+.2f}   v = {self.speed:.2f}", fontsize=9, va="center")
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def generate(transitions: int = 1_000_000, seed: int = 0) -> Trajectories:
    """The heterogeneous data set: four equal parts, from four ways of driving.

    1. full speed: a throttle of ±U(0.9, 1), held for the whole episode; starts within ±5;
    2. random: a uniform throttle at every step; starts within ±1;
    3. persistent: the sign is kept with probability 0.9, the size is U(0.7, 1); starts within ±2.5;
    4. random walk: the throttle changes by steps of standard deviation 0.5, clipped to ±1; starts within ±9.

    All cars start at speed 0. The last episode of a part is cut off by a timeout when the part is full.

    Raises:
        ValueError: `transitions` is not a positive multiple of 4, or `seed` no whole number of at least 0.
    """
    transitions, seed = checked_count("transitions", transitions), checked_count("seed", seed, least=0)
    if transitions < 4 or transitions % 4:
        raise ValueError(f"expected a positive multiple of 4 transitions, got {transitions}")
    streams = np.random.default_rng(seed).spawn(4)
    parts = [
        _drive(policy, start, transitions // 4, rng)
        for policy, start, rng in zip(
            (_full_speed, _uniform, _persistent, _random_walk), (5.0, 1.0, 2.5, 9.0), streams, strict=True
        )
    ]
    return Trajectories(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def single_side(trajectories: Trajectories) -> Trajectories:
    """The Single-Side data: all episodes except those that reach the left end."""
    ends = trajectories.episode_ends
    states, throttle = trajectories.observations[ends], trajectories.actions[ends, 0]
    final_position = states[:, 0] + throttle * states[:, 1] / 10
    return trajectories.select_episodes(~(trajectories.terminals[ends] & (final_position < 0)))


def _drive(policy, start: float, transitions: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Episodes of one policy, many cars at a time, until there are enough transitions."""
    columns: list[tuple[np.ndarray, ...]] = []
    while (collected := sum(len(column[2]) for column in columns)) < transitions:
        # As many cars as are needed if each drives 100 steps; another round makes up for those that arrive early.
        cars = -(-(transitions - collected) // STEPS)
        throttle = policy(cars, rng)  # (cars, STEPS)
        columns.append(_simulate(rng.uniform(-start, start, cars), throttle))
    observations, actions, rewards, terminals, timeouts = (
        np.concatenate(parts)[:transitions] for parts in zip(*columns, strict=True)
    )
    timeouts[-1] |= not terminals[-1]
    return observations, actions, rewards, terminals, timeouts


def _simulate(position: np.ndarray, throttle: np.ndarray) -> tuple[np.ndarray, ...]:
    """Drive all cars for 100 steps and keep each car's steps until it arrives, one episode after the other."""
    cars = len(position)
    throttle = throttle.astype(np.float32)  # drive with what is recorded, in single precision
    speed = np.zeros(cars)
    states = np.empty((cars, STEPS, 2), dtype=np.float32)
    reached = np.zeros((cars, STEPS), dtype=bool)
    for step in range(STEPS):
        states[:, step] = np.stack([position, speed], axis=1)
        position, speed = advance(position, speed, throttle[:, step].astype(np.float64))
        reached[:, step] = np.abs(position) > END
    earlier = np.cumsum(reached, axis=1) - reached  # how many steps before this one were past an end
    kept = earlier == 0
    terminals = reached & kept
    timeouts = np.zeros_like(kept)
    timeouts[:, -1] = ~reached.any(axis=1)
    return (
        states[kept],
        throttle[kept][:, None],
        terminals[kept].astype(np.float32),
        terminals[kept],
        timeouts[kept],
    )


def _full_speed(cars: int, rng: np.random.Generator) -> np.ndarray:
    size = 0.95 + rng.uniform(-0.05, 0.05, (cars, 1))
    return np.repeat(rng.choice([-1.0, 1.0], (cars, 1)) * size, STEPS, axis=1)


def _uniform(cars: int, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, (cars, STEPS))


def _persistent(cars: int, rng: np.random.Generator) -> np.ndarray:
    turns = rng.random((cars, STEPS)) < 0.1
    turns[:, 0] = rng.random(cars) < 0.5  # half of the cars start to the left
    return np.where(np.cumsum(turns, axis=1) % 2, -1.0, 1.0) * rng.uniform(0.7, 1, (cars, STEPS))


def _random_walk(cars: int, rng: np.random.Generator) -> np.ndarray:
    throttle = np.empty((cars, STEPS))
    throttle[:, 0] = rng.uniform(-1, 1, cars)
    for step in range(1, STEPS):
        throttle[:, step] = np.clip(throttle[:, step - 1] + rng.normal(0, 0.5, cars), -1, 1)
    return throttle


def make_task(name: str) -> Task:
    """The task ``bidirectional-car`` or ``bidirectional-car-single-side``; a return of 1 scores 100."""
    only_one_side = name == "bidirectional-car-single-side"

    def load_trajectories(transitions: int = 1_000_000, seed: int = 0) -> Trajectories:
        """Generate the data set, or read it from the cache; `transitions` is its size before episodes are dropped."""
        transitions, seed = checked_count("transitions", transitions), checked_count("seed", seed, least=0)
        recipe = f"bidirectional-car-{transitions}-{seed}"
        trajectories = cached_trajectories(recipe, partial(generate, transitions, seed))
        return single_side(trajectories) if only_one_side else trajectories

    return Task(name, partial(gymnasium.make, ENV_ID), load_trajectories, reference_returns=(0.0, 1.0))
