"""How the commands print what they found."""

from rich.markup import escape
from rich.table import Table

from batchbrew.dataset.plurals import counted


def facts_table(title: str) -> Table:
    """Two columns: what, and how it is."""
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # nothing is cut
    return table


def spread(label_counts: dict[int, int]) -> str:
    """Of the smallest class and of the largest."""
    counts = label_counts.values()
    least, most = min(counts), max(counts)
    return f"{least:,} to {most:,} images each" if least < most else f"{counted(most, 'image')} each"
