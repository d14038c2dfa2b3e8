"""What only pages need: one look for all figures, films, descriptions of data, and where numbers came from.

The widgets are in :mod:`sfbc_core.book.widgets`. Nothing outside of this folder imports it.
"""

from sfbc_core.book.descriptions import Description, describe
from sfbc_core.book.films import Film, film
from sfbc_core.book.mazes import distances_through_maze, draw_walls
from sfbc_core.book.provenance import Provenance
from sfbc_core.book.sampled_planning import sampled_plan
from sfbc_core.book.style import COLORS, SIGNED_COLORMAP, use_book_style
from sfbc_core.experiments.action_maps import action_map, state_grid
from sfbc_core.experiments.profiles import choose

__all__ = [
    "COLORS",
    "SIGNED_COLORMAP",
    "Description",
    "Film",
    "Provenance",
    "action_map",
    "choose",
    "describe",
    "distances_through_maze",
    "draw_walls",
    "film",
    "sampled_plan",
    "state_grid",
    "use_book_style",
]
