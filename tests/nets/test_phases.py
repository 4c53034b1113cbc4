"""What surrounds a body: data layers, loss, accuracies, probabilities."""

import pytest

from batchbrew.nets.changes import use_global_statistics
from batchbrew.nets.inputs import DataSource
from batchbrew.nets.phases import deploy_net, train_val_net
from batchbrew.nets.resnet import resnet
from batchbrew.proto import caffe_pb2 as pb

LMDB = DataSource("train_lmdb", "lmdb", 16)
LIST = DataSource("val.txt", "list", 10, image_root="photos")


def built(train: DataSource, val: DataSource, classes: int = 6) -> pb.NetParameter:
    return train_val_net("net", resnet(10, classes), train=train, val=val, crop=224, classes=classes)


def test_lmdb_to_train_with() -> None:
    layer = built(LMDB, LIST).layer[0]
    assert (layer.name, layer.type, list(layer.top)) == ("data", "Data", ["data", "label"])
    assert [rule.phase for rule in layer.include] == [pb.TRAIN]
    assert layer.transform_param == pb.TransformationParameter(mirror=True, crop_size=224)
    assert layer.data_param == pb.DataParameter(
        source="train_lmdb", batch_size=16, backend=pb.DataParameter.LMDB
    )


def test_list_to_validate_with() -> None:
    layer = built(LMDB, LIST).layer[1]
    assert (layer.name, layer.type, list(layer.top)) == ("data", "ImageData", ["data", "label"])
    assert [rule.phase for rule in layer.include] == [pb.TEST]
    assert layer.transform_param == pb.TransformationParameter(mirror=False, crop_size=224)
    assert layer.image_data_param == pb.ImageDataParameter(
        source="val.txt", batch_size=10, shuffle=False, root_folder="photos/"
    )


def test_list_to_train_with_is_shuffled() -> None:
    assert built(LIST, LIST).layer[0].image_data_param.shuffle


@pytest.mark.parametrize(("classes", "names"), [(5, ["accuracy"]), (6, ["accuracy", "accuracy/top5"])])
def test_top_5_is_measured_where_it_can_be_wrong(classes: int, names: list[str]) -> None:
    accuracies = [layer for layer in built(LMDB, LMDB, classes).layer if layer.type == "Accuracy"]
    assert [layer.name for layer in accuracies] == names
    assert all([rule.phase for rule in layer.include] == [pb.TEST] for layer in accuracies)
    if classes > 5:
        assert (list(accuracies[1].top), accuracies[1].accuracy_param.top_k) == (["top5"], 5)


def test_deploy_takes_an_image_and_gives_probabilities() -> None:
    layers = deploy_net("net", resnet(10, 6), crop=96).layer
    assert layers[0].type == "Input"
    assert list(layers[0].input_param.shape[0].dim) == [1, 3, 96, 96]
    assert (layers[-1].type, list(layers[-1].bottom), list(layers[-1].top)) == (
        "Softmax",
        ["score"],
        ["prob"],
    )


def test_global_statistics_are_written_into_every_batch_norm() -> None:
    net = built(LMDB, LMDB)
    use_global_statistics(net)
    written = [layer.batch_norm_param.use_global_stats for layer in net.layer if layer.type == "BatchNorm"]
    assert written == [True] * 10  # data, conv1, one and three times two in the units, last
    assert not any(layer.HasField("batch_norm_param") for layer in net.layer if layer.type != "BatchNorm")
