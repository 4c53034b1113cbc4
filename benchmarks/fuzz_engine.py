#!/usr/bin/env python3
"""Damaged inputs by the thousand into batchbrew.caffe: each is used, or refused by one clear line; else it is told.

    .venv/bin/python benchmarks/fuzz_engine.py [--inputs 12000] [--seed 1] [--kind layer ...]
    .venv/bin/python benchmarks/fuzz_engine.py --kind layer --seed 1 --number 17 --keep FOLDER    # one of them again

Nets, solvers, weights, solver states, means, LMDBs, HDF5 files, pictures and lists are mutated (tests/caffe/fuzzing)
and used in child processes of bounded memory and time. A crash, a hang, an exception that is no error for users, an
error that is not one line, weights that are half taken: each is a violation, and the script then ends with 1. Results
of runs over all kinds are kept in results/fuzz_engine.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring import write_results

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.caffe.fuzzing.campaign import KINDS, Tally, attempt_all, run_campaign


def main() -> int:
    """Attempt what the options say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=[])
    parser.add_argument("--number", type=int, help="of one input of one kind")
    parser.add_argument("--keep", type=Path, help="a new folder for the files of that input")
    options = parser.parse_args()
    if options.number is not None:
        if len(options.kind) != 1:
            parser.error("--number is that of an input of one --kind")
        return one(options.kind[0], options.seed, options.number, options.keep)
    began = time.perf_counter()
    tallies: dict[str, Tally] = {}
    for tallies in run_campaign(options.seed, options.inputs, options.kind):
        print(progress(tallies), file=sys.stderr)
    rows = summary(tallies, options.seed, time.perf_counter() - began)
    if options.kind:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        write_results("fuzz_engine", rows)
    return int(any(tally.violations for tally in tallies.values()))


def one(kind: str, seed: int, number: int, keep: Path | None) -> int:
    """Attempt one input, and say all that is known of it."""
    (result,) = attempt_all([KINDS[kind](kind, seed, number)], keep)
    trace = result.pop("trace", "")
    print(json.dumps(result, indent=2, ensure_ascii=False), trace, sep="\n")
    return int(result["outcome"] == "violation")


def progress(tallies: Mapping[str, Tally]) -> str:
    """So far, in a line."""
    inputs = sum(tally.inputs for tally in tallies.values())
    violations = [each for tally in tallies.values() for each in tally.violations]
    last = f"; the last: {violations[-1]['again']}: {violations[-1]['text'][:200]}" if violations else ""
    return f"{inputs:,} inputs, {len(violations)} violations{last}"


def summary(tallies: Mapping[str, Tally], seed: int, seconds: float) -> dict[str, Any]:
    """What is kept: counts by kind and of all; each kind's commonest messages; every violation."""
    kinds = {
        kind: {
            "inputs": tally.inputs,
            "loaded": tally.loaded,
            "refused": tally.refused,
            "distinct_messages": len(tally.messages),
            "violations": [{"again": each["again"], "text": each["text"]} for each in tally.violations],
            "slowest_cpu_seconds": round(tally.slowest_seconds, 2),
            "commonest_messages": dict(tally.messages.most_common(5)),
        }
        for kind, tally in tallies.items()
    }
    total = {
        "seed": seed,
        "inputs": sum(tally.inputs for tally in tallies.values()),
        "loaded": sum(tally.loaded for tally in tallies.values()),
        "refused": sum(tally.refused for tally in tallies.values()),
        "distinct_messages": len({text for tally in tallies.values() for text in tally.messages}),
        "violations": sum(len(tally.violations) for tally in tallies.values()),
        "seconds": round(seconds),
    }
    return {**total, "kinds": kinds}


if __name__ == "__main__":
    sys.exit(main())
