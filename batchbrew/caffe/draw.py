"""caffe.draw: a net as a graph of its layers and blobs, in Graphviz's text or as a picture.

pycaffe needs pydot and Graphviz for it. Here neither is needed: if Graphviz is installed, it draws; else
batchbrew.caffe.drawing does, png and svg.
"""

from pathlib import Path

from batchbrew.atomic import write_file
from batchbrew.caffe.drawing.graph import Edge, Graph, Node
from batchbrew.errors import InputError
from batchbrew.nets.upgrade import upgraded
from batchbrew.proto import caffe_pb2 as pb

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}
COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
LEARNING = ("Convolution", "Deconvolution", "InnerProduct")
NO_LABEL = '""'
LINE_BREAK = r"\n"  # of Graphviz


class DrawError(InputError, ValueError):
    """A layer that cannot be drawn; a ValueError, as pycaffe's."""


def get_pooling_types_dict() -> dict[int, str]:
    """The names of pooling's methods by number."""
    return {number: name for name, number in pb.PoolingParameter.PoolMethod.items()}


def get_edge_label(layer: pb.LayerParameter) -> str:
    """What is written on the edges to the layer's tops: batch size or outputs, else an empty quoted string."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return NO_LABEL


def get_layer_lr_mult(layer: pb.LayerParameter) -> tuple[float, float]:
    """lr_mult of weights and of biases, 1 where none is given. Raises DrawError for layers without either."""
    if layer.type not in LEARNING:
        raise DrawError(f"{layer.type} layers do not have a learning rate multiplier")
    if len(layer.param) > 2:
        raise DrawError(f"layer {layer.name} has {len(layer.param)} param, but weights and biases alone")
    multipliers = [param.lr_mult for param in layer.param] + [1.0, 1.0]
    return multipliers[0], multipliers[1]


def get_layer_label(layer: pb.LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    r"""A layer's name, type and windows, in quotes; each on a line of its own (\n) but if rankdir is TB or BT."""
    kind = layer.type
    if kind == "Pooling":
        kind += f" {get_pooling_types_dict()[layer.pooling_param.pool]}"
    parts = [layer.name, f"({kind})"]
    if layer.type in ("Convolution", "Deconvolution", "Pooling"):
        kernel, stride, pad = _window(layer)
        parts += [f"kernel size: {kernel}", f"stride: {stride}", f"pad: {pad}"]
    if display_lrm and layer.type in LEARNING:
        weights, biases = get_layer_lr_mult(layer)
        if weights or biases:
            parts.append(f"lr mult: {weights:.1f}, {biases:.1f}")
    separator = " " if rankdir in ("TB", "BT") else LINE_BREAK
    return f'"{separator.join(parts)}"'


def _window(layer: pb.LayerParameter) -> tuple[int, int, int]:
    """Kernel size, stride and padding, of several the first."""
    if layer.type == "Pooling":
        pooling = layer.pooling_param
        return pooling.kernel_size, pooling.stride, pooling.pad
    convolution = layer.convolution_param
    kernel, stride, pad = (
        values[0] if len(values) else default
        for values, default in ((convolution.kernel_size, 1), (convolution.stride, 1), (convolution.pad, 0))
    )
    return kernel, stride, pad


def choose_color_by_layertype(layertype: str) -> str:
    """A layer's colour, "#RRGGBB"."""
    return COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def get_pydot_graph(
    caffe_net: pb.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Graph:
    """The graph of a net, of all its layers or of those of `phase`, from left to right (LR), TB, BT or RL.

    It is of our own class, which has the methods of pydot's that scripts call. Blobs that no layer reads are
    ellipses, the others octagons. V1 layers are upgraded. Raises InputError.
    """
    net = upgraded(caffe_net) if caffe_net.layers else caffe_net
    layers = [layer for layer in net.layer if phase is None or _is_in(layer, phase)]
    graph = Graph(net.name or "Net", rankdir)
    read = {bottom for layer in layers for bottom in layer.bottom}
    for index, layer in enumerate(layers):
        key = f"{index}: {layer.name}_{layer.type}"  # a name may be that of two layers, one for each phase
        for bottom in layer.bottom:
            _add_blob(graph, bottom, read)
        graph.nodes[key] = _layer_node(layer, rankdir, display_lrm)
        graph.edges += [Edge(f"{bottom}_blob", key) for bottom in layer.bottom]
        label = get_edge_label(layer) if label_edges else NO_LABEL
        for top in layer.top:
            _add_blob(graph, top, read)
            graph.edges.append(Edge(key, f"{top}_blob", "" if label == NO_LABEL else label))
    return graph


def _layer_node(layer: pb.LayerParameter, rankdir: str, display_lrm: bool) -> Node:
    lines = tuple(get_layer_label(layer, rankdir, display_lrm)[1:-1].split(LINE_BREAK))
    in_place = len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top)
    color = NEURON_LAYER_STYLE["fillcolor"] if in_place else choose_color_by_layertype(layer.type)
    return Node(lines, LAYER_STYLE_DEFAULT["shape"], color)


def _add_blob(graph: Graph, name: str, read: set[str]) -> None:
    style = BLOB_STYLE if name in read else {"shape": "ellipse", "fillcolor": "#FFFFFF"}
    graph.nodes.setdefault(f"{name}_blob", Node((name,), style["shape"], style["fillcolor"]))


def _is_in(layer: pb.LayerParameter, phase: int) -> bool:
    """As pycaffe has it: stages and levels do not count, and a rule without a phase is one for TRAIN."""
    if layer.include and layer.exclude:
        raise DrawError(f"layer {layer.name} has both include and exclude specified: Caffe takes one of them")
    if layer.include:
        return any(rule.phase == phase for rule in layer.include)
    return all(rule.phase != phase for rule in layer.exclude)


def draw_net(
    caffe_net: pb.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """A net drawn as a file of type `ext`: dot, svg, png, jpg ...; with Graphviz all that it knows.

    Raises InputError where that takes Graphviz and it is not installed.
    """
    return get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm).create(format=ext)


def draw_net_to_file(
    caffe_net: pb.NetParameter,
    filename: str | Path,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draw a net into a file, whose ending says of what type: .png, .svg, .dot ..."""
    path = Path(filename)
    if not path.suffix:
        raise InputError(f"{path} has no ending to say what to draw: name it {path}.png, .svg or .dot")
    write_file(path, draw_net(caffe_net, rankdir, path.suffix[1:], phase, display_lrm))
