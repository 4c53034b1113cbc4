"""cvjena's AlexNet and VGG19, BVLC's AlexNet, and the VGG team's networks, in the words of `lines`."""

ALEXNET = """
data/bn BatchNorm data > data/bn
data/scale Scale data/bn > data/scale
conv1 Convolution data/scale > conv1 96 11/4+0 bias
conv1/bn BatchNorm conv1 > conv1/bn
relu1 ReLU conv1/bn > norm1
pool1 Pooling norm1 > pool1 max 3/2+0
conv2 Convolution pool1 > conv2 256 5/1+2 groups=2 bias
conv2/bn BatchNorm conv2 > conv2/bn
relu2 ReLU conv2/bn > norm2
pool2 Pooling norm2 > pool2 max 3/2+0
conv3 Convolution pool2 > conv3 384 3/1+1 bias
conv3/bn BatchNorm conv3 > conv3/bn
relu3 ReLU conv3/bn > conv3/bn
conv4 Convolution conv3/bn > conv4 384 3/1+1 groups=2 bias
conv4/bn BatchNorm conv4 > conv4/bn
relu4 ReLU conv4/bn > conv4/bn
conv5 Convolution conv4/bn > conv5 256 3/1+1 groups=2 bias
conv5/bn BatchNorm conv5 > conv5/bn
relu5 ReLU conv5/bn > conv5/bn
pool5 Pooling conv5/bn > pool5 max 3/2+0
fc6 InnerProduct pool5 > fc6 4096
fc6/bn BatchNorm fc6 > fc6/bn
relu6 ReLU fc6/bn > fc6/bn
fc7 InnerProduct fc6/bn > fc7 4096
fc7/bn BatchNorm fc7 > fc7/bn
relu7 ReLU fc7/bn > fc7/bn
fc8 InnerProduct fc7/bn > fc8 1000
""".strip().splitlines()

ALEXNET_ORIGINAL = """
conv1 Convolution data > conv1 96 11/4+0 bias
relu1 ReLU conv1 > conv1
norm1 LRN conv1 > norm1 5 0.0001 0.75 1
pool1 Pooling norm1 > pool1 max 3/2+0
conv2 Convolution pool1 > conv2 256 5/1+2 groups=2 bias
relu2 ReLU conv2 > conv2
norm2 LRN conv2 > norm2 5 0.0001 0.75 1
pool2 Pooling norm2 > pool2 max 3/2+0
conv3 Convolution pool2 > conv3 384 3/1+1 bias
relu3 ReLU conv3 > conv3
conv4 Convolution conv3 > conv4 384 3/1+1 groups=2 bias
relu4 ReLU conv4 > conv4
conv5 Convolution conv4 > conv5 256 3/1+1 groups=2 bias
relu5 ReLU conv5 > conv5
pool5 Pooling conv5 > pool5 max 3/2+0
fc6 InnerProduct pool5 > fc6 4096
relu6 ReLU fc6 > fc6
drop6 Dropout fc6 > fc6 0.5
fc7 InnerProduct fc6 > fc7 4096
relu7 ReLU fc7 > fc7
drop7 Dropout fc7 > fc7 0.5
fc8 InnerProduct fc7 > fc8 1000
""".strip().splitlines()

# From one pooling to the next, the widths of the 3×3 convolutions.
VGG_16_STAGES = ["64 64", "128 128", "256 256 256", "512 512 512", "512 512 512"]
VGG_19_STAGES = ["64 64", "128 128", "256 256 256 256", "512 512 512 512", "512 512 512 512"]

VGG_19_TAIL = """
fc6 InnerProduct pool5 > fc6 4096
fc6/bn BatchNorm fc6 > fc6/bn
relu6 ReLU fc6/bn > fc6/bn
fc7 InnerProduct fc6/bn > fc7 4096
fc7/bn BatchNorm fc7 > fc7/bn
relu7 ReLU fc7/bn > fc7/bn
fc8 InnerProduct fc7/bn > fc8 1000
""".strip().splitlines()


def _vgg_19() -> list[str]:
    lines = ["data/bn BatchNorm data > data/bn", "data/scale Scale data/bn > data/scale"]
    before = "data/scale"
    for stage, widths in enumerate(VGG_19_STAGES, 1):
        for number, width in enumerate(widths.split(), 1):
            at = f"{stage}_{number}"
            lines += [
                f"conv{at} Convolution {before} > conv{at} {width} 3/1+1 bias",
                f"conv{at}/bn BatchNorm conv{at} > conv{at}/bn",
                f"relu{at} ReLU conv{at}/bn > conv{at}/bn",
            ]
            before = f"conv{at}/bn"
        lines.append(f"pool{stage} Pooling {before} > pool{stage} max 2/2+0")
        before = f"pool{stage}"
    return lines + VGG_19_TAIL


def _vgg_original(stages: list[str]) -> list[str]:
    lines, before = [], "data"
    for stage, widths in enumerate(stages, 1):
        for number, width in enumerate(widths.split(), 1):
            at = f"{stage}_{number}"
            lines += [
                f"conv{at} Convolution {before} > conv{at} {width} 3/1+1 bias",
                f"relu{at} ReLU conv{at} > conv{at}",
            ]
            before = f"conv{at}"
        lines.append(f"pool{stage} Pooling {before} > pool{stage} max 2/2+0")
        before = f"pool{stage}"
    return lines + ALEXNET_ORIGINAL[-7:]


VGG_19 = _vgg_19()
VGG_16_ORIGINAL = _vgg_original(VGG_16_STAGES)
VGG_19_ORIGINAL = _vgg_original(VGG_19_STAGES)
