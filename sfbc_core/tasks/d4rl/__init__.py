"""D4RL's 21 tasks of the paper's Table 1: one file per family, with D4RL's own environments behind the gymnasium API.

They need packages that run on Python 3.10 and 3.11 only; nothing else in `sfbc_core` imports this folder.
"""
