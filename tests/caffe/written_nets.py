"""Nets as texts, of a few words, for the tests of hostile input."""

from pathlib import Path

from batchbrew import caffe
from batchbrew.caffe.net import Net

IMAGE = "dim: 1 dim: 2 dim: 8 dim: 8"


def source(lengths: str, name: str = "x") -> str:
    return (
        f'layer {{ name: "in_{name}" type: "Input" top: "{name}" input_param {{ shape {{ {lengths} }} }} }}\n'
    )


def layer(kind: str, settings: str = "", bottoms: str = "x", tops: str = "y", name: str = "bad") -> str:
    blobs = [f'bottom: "{bottom}"' for bottom in bottoms.split()] + [f'top: "{top}"' for top in tops.split()]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(blobs)} {settings} }}\n'


def of_image(kind: str, settings: str = "", **blobs: str) -> str:
    return source(IMAGE) + layer(kind, settings, **blobs)


def convolution(settings: str) -> str:
    return of_image("Convolution", f"convolution_param {{ {settings} }}")


def of_sequence(settings: str, steps: int = 1) -> str:
    sequence = source(f"dim: {steps} dim: 1 dim: 1") + source(f"dim: {steps} dim: 1", "marks")
    return sequence + layer("LSTM", f"recurrent_param {{ {settings} }}", "x marks")


def reading(kind: str, parameter: str, settings: str, more: str = "") -> str:
    tops = "y" if kind in ("Data", "HDF5Data") else "y z"
    return layer(kind, f"{parameter} {{ source: 'none' batch_size: 1 {settings} }} {more}", "", tops)


def made(folder: Path, net: str) -> Net:
    path = folder / "net.prototxt"
    path.write_text(net)
    return Net(path, caffe.TRAIN)


TRAINED = source("dim: 1 dim: 2") + layer(
    "InnerProduct", "inner_product_param { num_output: 3 weight_filler { type: 'xavier' } }", name="ip"
)
