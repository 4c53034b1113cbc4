"""The command line: one command a function, no logic. Each imports what it needs when it is called."""

from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    help="BatchBrew: Caffe's batch-normalised ImageNet networks, from photographs to a caffemodel.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
lmdb_app = typer.Typer(help="LMDBs of photographs: build, look at, verify.", no_args_is_help=True)
app.add_typer(lmdb_app, name="lmdb")
