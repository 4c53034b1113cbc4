"""A planted mistake for each rule about nets."""

from tests.lint.layers import layer
from tests.lint.planted import Planted

INPUT = layer("data", "Input", "", "data", "input_param { shape { dim: 16 dim: 3 dim: 8 dim: 8 } }") + layer(
    "label", "Input", "", "label", "input_param { shape { dim: 16 } }"
)
TRAIN, TEST = "include { phase: TRAIN }", "include { phase: TEST }"
ZEROS = "param { lr_mult: 0 } " * 3
SHIFTED = "scale_param { bias_term: true }"
PHOTOS = 'source: "list.txt" root_folder: "photos/"'


def classifier(outputs: str = "3", more: str = "", bottom: str = "data", name: str = "fc") -> str:
    return layer(
        name, "InnerProduct", bottom, "fc", f"inner_product_param {{ num_output: {outputs} }} {more}"
    )


def loss(bottom: str = "fc") -> str:
    return layer("loss", "SoftmaxWithLoss", f"{bottom},label", "loss")


def head(bottom: str = "data") -> str:
    return classifier(bottom=bottom) + loss()


def batch_norm(fields: str = ZEROS, name: str = "bn") -> str:
    return layer(name, "BatchNorm", "data", "data", fields)


def scale(fields: str = SHIFTED, name: str = "scale") -> str:
    return layer(name, "Scale", "data", "data", fields)


def images(
    phase: str, source: str = "good_lmdb", batch: str = "16", crop: str = "8", transform: str = "",
    backend: str = "backend: LMDB",
) -> str:  # fmt: skip
    data = f'data_param {{ source: "{source}" batch_size: {batch} {backend} }}'
    return layer(
        "data",
        "Data",
        "",
        "data,label",
        f"{phase} {data} transform_param {{ crop_size: {crop} {transform} }}",
    )


def photos(phase: str, fields: str, crop: str = "0") -> str:
    listed = f"image_data_param {{ batch_size: 16 {fields} }} transform_param {{ crop_size: {crop} }}"
    return layer("data", "ImageData", "", "data,label", f"{phase} {listed}")


def both(**given: str) -> str:
    return images(TRAIN, **given) + images(TEST, **given)


PLANTED = [
    Planted(
        "bn-multipliers", INPUT + batch_norm("FAULT") + scale() + head(), "param { lr_mult: 1 }", ZEROS,
        "lr_mult of its statistics is 1", 3,
        aborts="Cannot configure batch normalization statistics as layer parameters",
        fix="write param { lr_mult: 0 } three times into it",
    ),
    Planted(
        "bn-multipliers", INPUT + batch_norm("FAULT") + scale() + head(), "param { lr_mult: 0 } " * 4, ZEROS,
        "it has 4 param for three blobs", 3, aborts="Too many params specified for layer bn",
    ),
    Planted(
        "bn-multipliers", INPUT + batch_norm("FAULT") + scale() + head(), "param { decay_mult: 0 } " * 3, ZEROS,
        "lr_mult of its statistics is 1, 1, 1", 3, "warning",
    ),
    Planted(
        "bn-multipliers", INPUT + batch_norm("FAULT") + scale() + head(), "", ZEROS,
        "it has 0 param with lr_mult: 0 instead of three", 3, "warning",
    ),
    Planted(
        "bn-scale", INPUT + batch_norm() + scale() + batch_norm(name="bn2") + "FAULT"
        + batch_norm(name="bn3") + scale(name="scale3") + head(),
        "", scale(name="scale2"), "no Scale reads what it makes, though other BatchNorm layers have one", 5,
        "warning",
    ),
    Planted(
        "bn-scale", INPUT + layer("h", "Power", "data", "h")
        + layer("bn", "BatchNorm", "h", "h", ZEROS) + "FAULT" + head("h"),
        "", layer("scale", "Scale", "h", "h", SHIFTED),
        "no BatchNorm of the net has a Scale after it: 1 from bn on", 4, "note",
    ),
    Planted(
        "bn-shift", INPUT + batch_norm() + scale("FAULT") + head(), "", SHIFTED, "it has no bias_term", 4, "warning"
    ),
    Planted(
        "bn-small-batch", both(batch="FAULT") + batch_norm() + scale() + head(), "15", "16", "batch_size is 15",
        1, "warning",
    ),
    Planted(
        "bn-global-stats", both() + batch_norm(ZEROS + "batch_norm_param { use_global_stats: FAULT }") + scale()
        + head(), "true", "false", "1 BatchNorm layers normalise by stored statistics in training too", 3, "note",
    ),
    Planted(
        "mean-and-input-bn", both(transform="FAULT") + batch_norm() + scale() + head(), "mean_value: 104", "",
        "it subtracts a mean, and bn normalises what it makes", 1, "warning",
    ),
    Planted(
        "mean-and-input-bn", both(transform="FAULT") + batch_norm() + scale() + head(), "scale: 0.5", "",
        "it multiplies by 0.5, and bn normalises what it makes", 1, "note",
    ),
    Planted(
        "test-mirror", images(TRAIN, transform="mirror: true") + images(TEST, transform="mirror: FAULT") + head(),
        "true", "false", "it mirrors at random in TEST", 2, "warning",
    ),
    Planted(
        "phases-differ",
        images(TRAIN, transform="mean_value: 104") + images(TEST, transform="mean_value: FAULT") + head(),
        "117", "104", "mean_value is [117.0] in TEST, and [104.0] in TRAIN", 2, "warning",
    ),
    Planted(
        "crop", both(crop="FAULT") + head(), "9", "8",
        "crop_size is 9, but good_lmdb has images of 8×8 (height × width)", 1, aborts="datum_height >= crop_size",
    ),
    Planted(
        "crop", both(source="mixed_lmdb", crop="FAULT") + head(), "0", "8",
        "there is no crop_size, and the images of mixed_lmdb differ in size: 8×8 and 8×9", 1,
        aborts="datum_width == width",
    ),
    Planted(
        "crop", photos(TRAIN, PHOTOS + " shuffle: true new_height: 8 new_width: 8", crop="FAULT") + head(),
        "9", "8", "crop_size is 9, but the images are made 8×8 (height × width)", 1,
        aborts="img_height >= crop_size",
    ),
    Planted(
        "source-missing", both(source="FAULT") + head(), "nowhere_lmdb", "good_lmdb",
        "nowhere_lmdb does not exist, seen from {folder}", 1, aborts="No such file or directory",
    ),
    Planted(
        "source-missing", photos(TRAIN, 'source: "FAULT" root_folder: "photos/" shuffle: true') + head(),
        "no.txt", "list.txt", "no.txt does not exist, seen from {folder}", 1, aborts="File is empty",
    ),
    Planted(
        "source-missing", both(transform="FAULT") + head(), 'mean_file: "mean.binaryproto"', "",
        "mean.binaryproto does not exist, seen from {folder}", 1, aborts="File not found: mean.binaryproto",
    ),
    Planted(
        "backend", both(backend="FAULT") + head(), "", "backend: LMDB",
        "no backend is given, but good_lmdb is an LMDB", 1, aborts="Failed to open leveldb good_lmdb",
        fix="write backend: LMDB into data_param",
    ),
    Planted(
        "root-folder", photos(TRAIN, 'shuffle: true source: "list.txt" root_folder: "photosFAULT"') + head(),
        "", "/", "root_folder is photos, which makes photos0.png of the list's first path", 1,
        aborts="Could not load", fix='write root_folder: "photos/"',
    ),
    Planted(
        "train-order", photos(TRAIN, PHOTOS + " FAULT") + head(), "", "shuffle: true", "list.txt is not shuffled",
        1, "warning",
    ),
    Planted(
        "train-order", photos(TRAIN, 'root_folder: "photos/" source: "sorted.txt" FAULT') + head(), "",
        "shuffle: true", "sorted.txt is not shuffled, and sorted by label", 1, "warning",
    ),
    Planted(
        "train-order", images(TRAIN, source="FAULT") + images(TEST) + head(), "sorted_lmdb", "good_lmdb",
        "sorted_lmdb is sorted by label, and Caffe never shuffles a database", 1, "warning",
    ),
    Planted(
        "test-shuffle", images(TRAIN) + photos(TEST, PHOTOS + " FAULT", crop="8") + head(), "shuffle: true", "",
        "it shuffles the test images", 2, "note",
    ),
    Planted(
        "labels", both() + classifier("FAULT") + loss(), "2", "3",
        "num_output is 2, so labels go from 0 to 1, but good_lmdb has label 2", 3, fix="num_output: 3",
    ),
    Planted(
        "labels", both() + classifier("FAULT") + layer("r", "ReLU", "fc", "fc") + loss(), "1", "3",
        "num_output is 1, so labels go from 0 to 0, but good_lmdb has label 1, 2", 3, fix="num_output: 3",
    ),
    Planted(
        "spare-outputs", both() + classifier("FAULT") + loss(), "5", "3",
        "num_output is 5, and the largest label of good_lmdb is 2", 3, "note",
    ),
    Planted(
        "softmax-twice", INPUT + classifier() + layer("prob", "Softmax", "fc", "prob") + loss("FAULT")
        + layer("end", "Silence", "prob", ""), "prob", "fc", "it reads prob, the softmax of prob", 5, "warning",
        fix="read fc",
    ),
    Planted(
        "accuracy-in-train", both() + head() + layer("accuracy", "Accuracy", "fc,label", "accuracy", "FAULT"),
        "", TEST, "it is there in TRAIN too", 5, "note",
    ),
    Planted(
        "phases-share", both() + classifier("3", TRAIN) + classifier("FAULT", TEST) + loss(), "5", "3",
        "num_output is 5 in TEST, and 3 in TRAIN", 4,
    ),
    Planted(
        "deploy-softmax", INPUT.splitlines()[0] + "\n" + classifier() + "FAULT", "",
        layer("prob", "Softmax", "fc", "prob"), "fc is the output", 2, "note",
    ),
    Planted(
        "unknown-blob", INPUT + head("FAULT"), "dta", "data", "no layer before it makes dta in TRAIN", 3,
        aborts="Unknown bottom blob 'dta'", fix="did you mean data?",
    ),
    Planted(
        "unknown-blob", both() + head() + layer("x", "Power", "data", "x", TEST)
        + layer("s", "Silence", "x", "", "FAULT"),
        "", TEST, "no layer before it makes x in TRAIN", 6, aborts="Unknown bottom blob 'x'",
        fix="the layer that makes x is not there in TRAIN: mend its include or exclude",
    ),
    Planted(
        "blob-twice", INPUT + layer("p", "Power", "data", "p") + layer("q", "Power", "FAULT", "p") + head("p"),
        "data", "p", "its top p is made by p already", 4, aborts="Top blob 'p' produced by multiple sources",
    ),
    Planted(
        "in-place-shared", INPUT + layer("p", "Power", "data", "p") + layer("r", "ReLU", "data", "FAULT")
        + layer("sum", "Eltwise", "FAULT,p", "sum") + head("sum"), "data", "r",
        "it writes over data, which p reads too", 4, aborts="Top blob 'data' produced by multiple sources",
        fix="give it a top of its own",
    ),
    Planted(
        "in-place-stale", INPUT + layer("f", "Flatten", "data", "f") + layer("r", "ReLU", "f", "FAULT")
        + layer("g", "Flatten", "data", "g") + layer("sum", "Eltwise", "FAULT,g", "sum") + head("sum"), "f", "r",
        "through f it writes over data, which g reads afterwards", 4,
    ),
    Planted(
        "in-place-type", INPUT + layer("sum", "Eltwise", "data,data", "FAULT") + head("FAULT"), "data", "sum",
        "Eltwise works in place on data", 3, aborts="Top blob 'data' produced by multiple sources",
    ),
    Planted(
        "in-place-type", INPUT + layer("h", "Scale", "data", "h")
        + layer("power", "Power", "h", "FAULT")
        + head("FAULT"), "h", "p", "Power works in place on h", 4,
    ),
    Planted(
        "in-place-gradient", INPUT + layer("h", "Scale", "data", "h") + layer("relu", "ReLU", "h", "h")
        + layer("bn", "BatchNorm", "h", "FAULT", ZEROS) + layer("scale", "Scale", "FAULT", "FAULT", SHIFTED)
        + head("FAULT"), "h", "n", "it writes over h, which the backward pass of relu (ReLU) reads", 5,
    ),
    Planted(
        "flatten-of-view", INPUT + layer("h", "Scale", "data", "h") + layer("s", "FAULT", "h", "s")
        + layer("f", "Flatten", "s", "f") + head("f"), "Slice", "Power",
        "no gradient comes from f through s to h", 5, fix="let it flatten h itself, or write a Reshape in its place",
    ),
    Planted(
        "unread-blob", INPUT + layer("p", "Power", "data", "p") + head("FAULT"), "data", "p",
        "nobody reads p in TRAIN", 3, "note",
    ),
    Planted(
        "layer-name", INPUT + layer("FAULT", "InnerProduct", "data", "h", "inner_product_param { num_output: 4 }")
        + head("h"), "fc", "fc1", "fc is the name of a layer before it too, of type InnerProduct", 4,
    ),
    Planted(
        "layer-name", INPUT + layer("FAULT", "ReLU", "data", "data") + layer("relu", "ReLU", "data", "data") + head(),
        "relu", "relu1", "relu is the name of a layer before it too, of type ReLU", 4, "warning",
    ),
    Planted(
        "layer-type", INPUT + layer("fc", "FAULT", "data", "fc", "inner_product_param { num_output: 3 }") + loss(),
        "InerProduct", "InnerProduct", "its type is 'InerProduct'", 3, "warning",
        aborts="Unknown layer type: InerProduct", fix="did you mean InnerProduct?",
    ),
    Planted(
        "shapes", INPUT + layer("h", "Pooling", "data", "h", "pooling_param { kernel_size: 2 stride: 2 }")
        + layer("sum", "Eltwise", "data,FAULT", "sum") + head("sum") + layer("s", "Silence", "h", ""),
        "h", "data", "", 4, aborts="Check failed",
    ),
]  # fmt: skip
