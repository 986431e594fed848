"""The colours of charts, on paper, on a screen and in a notebook.

Those that people who see few colours can tell apart too (Okabe and Ito, Color Universal Design,
2008), without its black; orange, sky blue and yellow are darker, so that each stands out from white
by 3 to 1 (WCAG 2.2, success criterion 1.4.11).
"""

from __future__ import annotations

COLOURS = (
    "#0072b2",  # blue
    "#c27f00",  # orange
    "#009e73",  # bluish green
    "#cc79a7",  # reddish purple
    "#2a93cf",  # sky blue
    "#d55e00",  # vermillion
    "#948800",  # yellow
)
GREY = "#8a8a8a"


def colour(i: int) -> str:
    """The colour of the i-th of many things; after seven they begin again."""
    return COLOURS[i % len(COLOURS)]
