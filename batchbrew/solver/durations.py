"""Epochs into iterations, and a batch into what a device can hold."""

import math

from batchbrew.errors import InputError

SIGNIFICANT_DIGITS = 3
SMALLEST_BATCH_NORM_BATCH = 16  # Simon et al. trained ResNet and VGG19 with 16 images a forward pass
LARGEST_INT32 = 2**31 - 1  # what Caffe counts iterations with


def exact_iterations(epochs: float, images: int, batch_images: int) -> float:
    """Iterations in which `epochs` times `images` are seen, `batch_images` in each."""
    return epochs * images / batch_images


def rounded_iterations(exact_iters: float) -> int:
    """`exact_iters` as a number for people: rounded to three significant digits, or up, if less than 1,000.

    So 64 epochs of ILSVRC12 with a batch of 256, 320,292 iterations, are the 320,000 of the paper.
    Raises InputError if that is more than Caffe can count.
    """
    if exact_iters >= LARGEST_INT32:
        raise InputError(f"{exact_iters:,.0f} iterations are more than Caffe can count, {LARGEST_INT32:,}")
    if exact_iters < 10**SIGNIFICANT_DIGITS:
        return math.ceil(exact_iters)
    unit: int = 10 ** (len(str(int(exact_iters))) - SIGNIFICANT_DIGITS)
    return math.floor(exact_iters / unit + 0.5) * unit


def passes_per_iteration(batch_images: int, device_batch_images: int) -> int:
    """Caffe's iter_size: passes of `device_batch_images` each, whose gradients together make one update.

    Raises InputError, naming the nearest sizes that would do, if the batch is not a multiple of the device's.
    """
    if batch_images % device_batch_images == 0:
        return batch_images // device_batch_images
    nearest = " or ".join(map(str, _nearest_divisors(batch_images, device_batch_images)))
    raise InputError(
        f"a batch of {batch_images} cannot be made of device batches of {device_batch_images}: "
        f"the nearest that divide it are {nearest}"
    )


def _nearest_divisors(number: int, near: int) -> list[int]:
    """The largest divisor below `near`, and the smallest above, if there is one."""
    divisors = {
        d
        for small in range(1, math.isqrt(number) + 1)
        if number % small == 0
        for d in (small, number // small)
    }
    below = max(divisor for divisor in divisors if divisor < near)
    return [below, *sorted(divisor for divisor in divisors if divisor > near)[:1]]


def passes_over(images: int, batch_images: int) -> int:
    """Caffe's test_iter: the fewest batches that hold every image at least once."""
    return -(-images // batch_images)


def even_batch(images: int, largest: int) -> int:
    """The largest batch up to `largest` that divides `images`; `largest` itself if only tiny ones do.

    A test then counts every image exactly once: Caffe fills a last batch up with images seen already.
    """
    if images <= largest:
        return images
    for batch in range(largest, largest // 2, -1):
        if images % batch == 0:
            return batch
    return largest


def batch_norm_warning(device_batch_images: int, *, global_statistics: bool) -> str | None:
    """What to tell a user whose device batch is too small for BatchNorm's statistics."""
    if global_statistics or device_batch_images >= SMALLEST_BATCH_NORM_BATCH:
        return None
    return (
        f"BatchNorm's mean and variance over {device_batch_images} images are too noisy to train well, and "
        "iter_size does not enlarge what they are taken over: use a device batch of "
        f"{SMALLEST_BATCH_NORM_BATCH} or more, or, when fine-tuning, --global-stats"
    )
