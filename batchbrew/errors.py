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
        return printable(text)


def printable(text: str) -> str:
    """On one line, and without what a terminal would obey: for all that is printed and that others have written.

    Control characters, ends of lines, changes of the direction of writing, and what no encoding has are escaped.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":  # blanks of any width
        return character
    return character.encode("unicode_escape").decode("ascii")


class InputError(BatchBrewError):
    """A file, an option or a data set that cannot be used as it is."""


class EngineError(BatchBrewError):
    """A Caffe engine that is missing, cannot start, or ended in the middle of its work."""
