"""D4RL's 21 tasks of the paper's Table 1: its environments behind the gymnasium API, its data as trajectories.

One file per family. They need packages that run on Python 3.10 and 3.11 only; nothing else in `sfbc_core` imports this
folder.
"""
