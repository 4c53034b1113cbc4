"""What a user is told when something he gave, or his machine, cannot be worked with."""

import unicodedata

LONGEST = 1000  # characters of a text; a name of a megabyte would hide the rest of the line


class BatchBrewError(Exception):
    """Its text is one line: what was wrong, the offending value, the remedy. Commands print it and exit 1.

    Names come from files: what of them cannot be printed is escaped, and too long a text is cut in its middle.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
        return text if text.isprintable() else "".join(map(_in_a_line, text))


def _in_a_line(character: str) -> str:
    """Itself, or its escape: of control characters, ends of lines, and what no encoding has."""
    breaks = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return character.encode("unicode_escape").decode("ascii") if breaks else character


class InputError(BatchBrewError):
    """A file, an option or a data set that cannot be used as it is."""


class EngineError(BatchBrewError):
    """A Caffe engine that is missing, cannot start, or ended in the middle of its work."""
