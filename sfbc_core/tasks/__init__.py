"""Environments and data sets by name. Importing this package registers its own environments with gymnasium."""

import gymnasium

from sfbc_core.tasks.registry import Task, load_task, task_names

# As strings, so that a family's module is imported only when its environment is made.
gymnasium.register(
    "sfbc/BidirectionalCar-v0",
    entry_point="sfbc_core.tasks.bidirectional_car:BidirectionalCarEnv",
    max_episode_steps=100,  # the rated time
)
gymnasium.register(
    "sfbc/ToyMaze-v0",
    entry_point="sfbc_core.tasks.toy_maze:ToyMazeEnv",
    max_episode_steps=100,
)
gymnasium.register(
    "sfbc/TwoWayBandit-v0",
    entry_point="sfbc_core.tasks.two_way_bandit:TwoWayBanditEnv",
    max_episode_steps=1,
)

__all__ = ["Task", "load_task", "task_names"]
