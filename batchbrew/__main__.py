"""`python -m batchbrew` and the installed `batchbrew`: run a command; what goes wrong is one line."""

import sys

from batchbrew.errors import BatchBrewError


def main() -> None:
    """Run the command line; exit 1 on an error of the user's or the machine's, 130 when interrupted."""
    from batchbrew.cli import app

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
    except OSError as error:  # a full disk, a file without permission
        print(f"batchbrew: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
