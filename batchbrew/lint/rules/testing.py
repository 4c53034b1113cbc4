"""Tests during training: how often, and over how many images."""

from collections.abc import Iterator

from batchbrew.lint.image_contents import batch_of, source_of
from batchbrew.lint.registry import Fault, SolverCase, solver_rule


@solver_rule(
    "test-interval",
    "error",
    "test_iter without test_interval, or the other way round",
    why="Caffe ends when it starts: Check failed: test_interval > 0.",
)
def test_interval(case: SolverCase) -> Iterator[Fault]:
    """Real Caffe builds a test net of `net` for each test_iter: without any it never tests, and says nothing."""
    solver = case.solver
    own = len(solver.test_net) + len(solver.test_net_param)
    if solver.test_iter and solver.test_interval < 1:
        yield Fault(
            "test_iter", "test_iter is given without test_interval", "test_interval: iterations between tests"
        )
    elif own > len(solver.test_iter):
        yield Fault(
            "test_net",
            f"{own} test_net, and {len(solver.test_iter)} test_iter",
            "a test_iter for each test_net",
            why="Caffe ends when it starts: test_iter must be specified for each test network.",
        )
    elif solver.test_interval > 0 and not solver.test_iter:
        yield Fault(
            "test_interval",
            "test_interval is given without test_iter",
            "test_iter: the batches that hold all test images",
            why="Caffe never tests then, and says nothing.",
            severity="warning",
        )


@solver_rule(
    "test-coverage",
    "warning",
    "a test that does not see every image once",
    why="The test error is that of some images only, or counts some twice.",
)
def test_coverage(case: SolverCase) -> Iterator[Fault]:
    """Caffe goes on reading where the last test ended, so that with a part each test sees another.

    The last batch may be filled up with images from the beginning: that much is allowed.
    """
    if len(case.tests) != len(case.solver.test_iter):
        return
    for view, passes in zip(case.tests, case.solver.test_iter, strict=True):
        for layer in view.image_layers[:1]:
            contents, batch = case.sources.contents(layer), batch_of(layer)
            if contents is None or batch < 1:
                continue
            images, tested = contents.images, passes * batch
            wanted = -(-images // batch)
            if tested < images or tested >= images + batch:
                yield Fault(
                    "test_iter",
                    f"test_iter {passes:,} × batch_size {batch} = {tested:,} images, and {source_of(layer)} "
                    f"has {images:,}",
                    f"test_iter: {wanted}",
                    why="A test sees a part of them, and the next goes on where it ended."
                    if tested < images
                    else "",
                )
