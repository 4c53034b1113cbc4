"""Which layers of a net are there in a phase: Caffe's include and exclude rules (net.cpp, StateMeetsRule)."""

from collections.abc import Sequence

from batchbrew.proto import caffe_pb2


def layers_in_state(
    net: caffe_pb2.NetParameter, phase: int, *, level: int = 0, stages: Sequence[str] = ()
) -> list[caffe_pb2.LayerParameter]:
    """The layers of `net` that Caffe builds for `phase` (caffe_pb2.TRAIN or TEST), `level` and `stages`.

    A layer with include rules is there when one of them is met; else it is there unless an exclude rule is met.
    """

    def met(rule: caffe_pb2.NetStateRule) -> bool:
        return (
            (not rule.HasField("phase") or rule.phase == phase)
            and (not rule.HasField("min_level") or level >= rule.min_level)
            and (not rule.HasField("max_level") or level <= rule.max_level)
            and all(stage in stages for stage in rule.stage)
            and not any(stage in stages for stage in rule.not_stage)
        )

    def is_there(layer: caffe_pb2.LayerParameter) -> bool:
        if layer.include:
            return any(met(rule) for rule in layer.include)
        return not any(met(rule) for rule in layer.exclude)

    return [layer for layer in net.layer if is_there(layer)]
