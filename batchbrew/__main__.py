"""`python -m batchbrew` and the installed `batchbrew`: run a command; what goes wrong is one line."""

import io
import sys

from batchbrew.errors import BatchBrewError


def main() -> None:
    """Run the command line; exit 1 on an error of the user's or the machine's, 130 when interrupted."""
    from batchbrew.cli import app

    if isinstance(sys.stdout, io.TextIOWrapper):  # where a terminal knows no "→", a "?" must do
        sys.stdout.reconfigure(errors="replace")
    try:
        app()
    except BatchBrewError as error:
        print(f"batchbrew: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("batchbrew: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        sys.stderr.close()
        sys.exit(1)
    except UnicodeEncodeError as error:
        name = error.object.encode(errors="replace").decode()
        print(
            f"batchbrew: {name!r} cannot be written in the encoding of this locale: set LC_ALL=C.UTF-8",
            file=sys.stderr,
        )
        sys.exit(1)
    except OSError as error:  # a full disk, a file without permission
        print(f"batchbrew: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
