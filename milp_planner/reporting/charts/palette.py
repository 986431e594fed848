"""The colours of charts, on paper, on a screen and in a notebook.

Eight that people who see few colours can tell apart too (Okabe and Ito, Color Universal Design,
2008), without its black and with a darker yellow, which is pale on white.
"""

from __future__ import annotations

COLOURS = (
    "#0072b2",  # blue
    "#e69f00",  # orange
    "#009e73",  # bluish green
    "#cc79a7",  # reddish purple
    "#56b4e9",  # sky blue
    "#d55e00",  # vermillion
    "#b8a800",  # yellow
)
GREY = "#8a8a8a"


def colour(i: int) -> str:
    """The colour of the i-th of many things; after seven they begin again."""
    return COLOURS[i % len(COLOURS)]
