"""Where algorithms and tasks meet: profiles, trials, figures."""

from sfbc_core.experiments.figures import COLORS, SIGNED_COLORMAP, use_book_style
from sfbc_core.experiments.profiles import Provenance, choose

__all__ = ["COLORS", "SIGNED_COLORMAP", "Provenance", "choose", "use_book_style"]
