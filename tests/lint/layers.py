"""Layers as prototxt, one a line."""


def layer(name: str, kind: str, bottoms: str, tops: str, fields: str = "") -> str:
    """`bottoms` and `tops` with commas."""
    blobs = [f'bottom: "{blob}"' for blob in bottoms.split(",") if blob]
    blobs += [f'top: "{blob}"' for blob in tops.split(",") if blob]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(blobs)} {fields} }}\n'
