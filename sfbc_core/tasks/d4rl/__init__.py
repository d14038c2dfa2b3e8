"""D4RL: its data sets and environments."""
