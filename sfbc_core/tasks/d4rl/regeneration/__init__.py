"""D4RL's data regenerated with D4RL's own recipes, for when the server of the files is down.

The result is not D4RL's data: it follows the same recipe, but with other random numbers and, for robots, with other
policies. It therefore has names of its own, such as ``regen/maze2d-umaze-v1``, which appear wherever its scores do.

``python -m sfbc_core.tasks.d4rl.regeneration TASK`` makes a file (``--help`` lists the tasks), and
``load_task("regen/maze2d-umaze-v1")`` reads it.
"""
