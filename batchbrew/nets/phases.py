"""One body, and around it what each use of it needs: training and testing, or deployment."""

from collections.abc import Callable

from batchbrew.nets.inputs import DATA, LABEL, DataSource, Mean, data_layer, input_layer
from batchbrew.nets.netspec import NetBuilder
from batchbrew.proto import caffe_pb2 as pb

# Appends a network to a builder, from the blob of images to the blob of scores (N×classes), and returns that.
Body = Callable[[NetBuilder, str], str]

TOP_5_FROM_CLASSES = 6  # of five classes, one of any five guesses is always right


def train_val_net(
    name: str,
    body: Body,
    *,
    train: DataSource,
    val: DataSource,
    crop: int,
    classes: int,
    mean: Mean | None = None,
) -> pb.NetParameter:
    """The network to train, which in phase TEST is the network to measure with."""
    net = NetBuilder(name)
    data_layer(net, train, crop, pb.TRAIN, mean)
    data_layer(net, val, crop, pb.TEST, mean)
    scores = body(net, DATA)
    net.add("loss", "SoftmaxWithLoss", [scores, LABEL])
    in_test = [pb.NetStateRule(phase=pb.TEST)]
    net.add("accuracy", "Accuracy", [scores, LABEL], include=in_test)
    if classes >= TOP_5_FROM_CLASSES:
        top_5 = pb.AccuracyParameter(top_k=5)
        net.add("accuracy/top5", "Accuracy", [scores, LABEL], ["top5"], include=in_test, accuracy_param=top_5)
    return net.net


def deploy_net(name: str, body: Body, *, crop: int) -> pb.NetParameter:
    """The network to use: images in, probabilities (blob `prob`, N×classes) out."""
    net = NetBuilder(name)
    input_layer(net, crop)
    net.add("prob", "Softmax", [body(net, DATA)])
    return net.net
