"""D4RL's data made again by D4RL's own recipes, for when the host of the files is down.

What comes out is not D4RL's data: it follows the same recipe with other random numbers and, for robots, with other
policies. It therefore has names of its own, ``regen/maze2d-umaze-v1``, which stand in everything that is printed of it.

``python -m sfbc_core.tasks.d4rl.regeneration --help`` makes the files, ``load_task("regen/maze2d-umaze-v1")`` reads them.
"""
