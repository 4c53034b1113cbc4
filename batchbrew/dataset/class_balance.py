"""What is unusual about the labels of a data set, by the number of records of each."""

from collections.abc import Mapping, Sequence

from batchbrew.dataset.label_ranges import in_ranges
from batchbrew.errors import printable

UNBALANCED = 10  # times as many in the largest class as in the smallest


def label_warnings(label_counts: Mapping[int, int], class_names: Sequence[str] | None) -> list[str]:
    """Labels without a record, and classes of very different sizes: a line each."""
    counts = {label: count for label, count in label_counts.items() if label >= 0 and count > 0}
    if not counts:
        return []
    warnings = []
    highest = max(max(counts), len(class_names or ()) - 1)
    if missing := highest + 1 - len(counts):
        # A few labels far apart are named by how many there are: a list of the gaps could be long without end.
        named = (
            in_ranges([label for label in range(highest + 1) if label not in counts])
            if missing < 10**6
            else ""
        )
        shown = f": {named[:200]}{' ...' if len(named) > 200 else ''}" if named else ""
        warnings.append(
            f"{missing:,} of the labels 0 to {highest:,} {'has' if missing == 1 else 'have'} no record{shown}"
        )
    smallest = min(counts, key=lambda label: (counts[label], label))
    largest = max(counts, key=lambda label: (counts[label], -label))
    if counts[largest] > UNBALANCED * counts[smallest]:
        warnings.append(
            f"the classes are of very different sizes: {counts[smallest]:,} records of label "
            f"{named_label(smallest, class_names)}, {counts[largest]:,} of label {named_label(largest, class_names)}"
        )
    return warnings


def labels_beyond(label_counts: Mapping[int, int], class_names: Sequence[str]) -> list[int]:
    """Labels that no class name belongs to."""
    return sorted(label for label, count in label_counts.items() if count and label >= len(class_names))


def named_label(label: int, class_names: Sequence[str] | None) -> str:
    """For messages: 3 (cat)."""
    if not class_names or not 0 <= label < len(class_names):
        return str(label)
    return f"{label} ({printable(class_names[label])})"
