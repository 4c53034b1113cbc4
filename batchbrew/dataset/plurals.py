"""How many of something, in words."""


def counted(count: int, thing: str) -> str:
    """1 image, 2 images, 2 classes."""
    ending = "" if count == 1 else "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"
