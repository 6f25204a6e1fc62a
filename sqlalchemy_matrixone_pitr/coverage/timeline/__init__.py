"""Pictures of a coverage: windows over time, for a terminal and as one SVG file. No I/O.

A line for each table, grouped by database: bars for what keeps it, by level; gaps hatched; what is
detached faded; now at the right edge. Marks show revisions and a chosen moment.
"""

from .svg import to_svg
from .text import to_text

__all__ = ["to_svg", "to_text"]
