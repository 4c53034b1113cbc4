"""Measures in real Caffe what a layer's backward pass reads, and what it does in place.

Takes a JSON file of cases: name → [layer's fields, [shapes of bottoms], [kinds of bottoms], number of tops].
A bottom of kind "x" comes out of a learned Bias, so that it wants a gradient; the others are inputs: "positive",
"ones", "marks" of sequences, or a number of labels.
Prints, by name, {"bottoms": [...], "tops": [...], "in_place": ...}.
Each case has a process of its own, as Caffe ends it where it refuses.
"""

PROBE = """
import json
import os
import sys
import tempfile

import caffe
import numpy as np

caffe.set_mode_cpu()
random = np.random.RandomState(0)


class Specimen:
    def __init__(self, case, in_place):
        fields, self.shapes, self.kinds, tops = case
        self.bottoms = ["x%d" % n if kind == "x" else "in%d" % n for n, kind in enumerate(self.kinds)]
        self.tops = ["t%d" % n for n in range(tops)]
        if in_place:
            self.tops[0] = self.bottoms[0]
        with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
            file.write(self.text(fields))
            file.flush()
            caffe.set_random_seed(3)
            self.net = caffe.Net(file.name, caffe.TRAIN)
        self.number = list(self.net._layer_names).index("L")
        self.values = [sample(kind, shape) for kind, shape in zip(self.kinds, self.shapes)]
        self.differences = None

    def text(self, fields):
        lines = []
        for n, (shape, kind) in enumerate(zip(self.shapes, self.kinds)):
            dims = " ".join("dim: %d" % dim for dim in shape)
            lines.append(
                'layer { name: "in%d" type: "Input" top: "in%d" input_param { shape { %s } } }' % (n, n, dims)
            )
            if kind == "x":
                bias = 'layer { name: "b%d" type: "Bias" bottom: "in%d" top: "x%d" bias_param { axis: 0 num_axes: 0 } }'
                lines.append(bias % (n, n, n))
        blobs = ['bottom: "%s"' % name for name in self.bottoms] + ['top: "%s"' % name for name in self.tops]
        weights = "loss_weight: 1 " + "loss_weight: 0 " * (len(self.tops) - 1)
        lines.append('layer { name: "L" %s %s %s }' % (" ".join(blobs), weights, fields))
        return "\\n".join(lines)

    def gradients(self, change=None):
        # forward, `change` of a blob's data, backward
        for n, value in enumerate(self.values):
            self.net.blobs["in%d" % n].data[...] = value
        caffe.set_random_seed(4)
        self.net.forward()
        self.outputs = [self.net.blobs[name].data.copy() for name in self.tops]
        if self.differences is None:
            self.differences = [random.randn(*output.shape) for output in self.outputs]
        if change is not None:
            change()
        self.net.clear_param_diffs()
        for name, difference in zip(self.tops, self.differences):
            self.net.blobs[name].diff[...] = difference
        self.net._backward(self.number, self.number)
        found = [self.net.blobs[name].diff.copy() for name in self.bottoms]
        return found + [blob.diff.copy() for blob in self.net.params.get("L", [])]

    def reads(self, name, kind, change):
        data = self.net.blobs[name].data
        return not same(
            self.gradients(lambda: data.__setitem__(Ellipsis, change(kind, data.copy()))), self.right
        )


def sample(kind, shape):
    if kind == "x":
        return random.randn(*shape)
    if kind == "positive":
        return random.uniform(0.1, 0.9, shape)
    if kind == "marks":  # where sequences begin, first of all at the first step: nothing is left of earlier passes
        return np.arange(np.prod(shape)).reshape(shape) >= shape[1]
    return np.ones(shape) if kind == "ones" else random.randint(0, kind, shape)


def other_values(kind, data):
    if kind == "x":
        # a mask of indices stays one: Caffe writes where it points, unchecked
        indices = np.all((data >= 0) & (data == np.floor(data)))
        return data.max() - data if indices else -1.7 * data
    if kind == "positive":
        return 1 - data
    return 0.5 * data if kind in ("ones", "marks") else (data + 1) % kind


def same(these, those):
    return all(
        a.shape == b.shape and np.allclose(a, b, 1e-4, 1e-6, equal_nan=True) for a, b in zip(these, those)
    )


def measure(case, in_place):
    random.seed(5)
    specimen = Specimen(case, in_place)
    specimen.right = specimen.gradients()
    return specimen


def out_of_place(case):
    specimen = measure(case, False)
    return {
        "bottoms": [n for n, k in enumerate(case[2]) if specimen.reads(specimen.bottoms[n], k, other_values)],
        "tops": [n for n, name in enumerate(specimen.tops) if specimen.reads(name, "x", other_values)],
        "outputs": [output.tolist() for output in specimen.outputs],
        "gradients": [gradient.tolist() for gradient in specimen.right],
    }


def in_place(case, apart):
    together = measure(case, True)
    if not same(together.outputs, [np.array(output) for output in apart["outputs"]]):
        return "wrong_output"
    if not same(together.right, [np.array(gradient) for gradient in apart["gradients"]]):
        return "wrong_gradient"
    if not together.reads(together.tops[0], "x", other_values):
        return "safe"
    return "keep" if together.reads(together.tops[0], "x", lambda kind, data: 1.7 * data) else "keep_sign"


def in_a_process(function, *arguments):
    # what it returns; None if it raises or Caffe ends the process
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writer, "w") as pipe:
                json.dump(function(*arguments), pipe)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


answers = {}
for name, case in json.load(open(sys.argv[1])).items():
    apart = in_a_process(out_of_place, case)
    assert apart is not None, "%s does not run" % name
    answers[name] = {"bottoms": apart["bottoms"], "tops": apart["tops"]}
    answers[name]["in_place"] = in_a_process(in_place, case, apart) if case[2][:1] == ["x"] else None
print(json.dumps(answers))
"""
