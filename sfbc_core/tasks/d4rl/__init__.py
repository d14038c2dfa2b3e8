"""The 21 tasks of D4RL in the paper's Table 1: D4RL's environments behind the gymnasium API, its data as trajectories.

There is one file per family. They need packages that only run on Python 3.10 and 3.11, so the rest of `sfbc_core`
imports this folder only when such a task is asked for.
"""
