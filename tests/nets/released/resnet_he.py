"""He's ResNet-50, ResNet-101 and ResNet-152, in the words of `lines`; `~` stands for a unit, `<` for what it reads."""

STEM = """
conv1 Convolution data > conv1 64 7/2+3{bias}
bn_conv1 BatchNorm conv1 > conv1
scale_conv1 Scale conv1 > conv1
conv1_relu ReLU conv1 > conv1
pool1 Pooling conv1 > pool1 max 3/2+0
"""
PROJECTION = """
res~_branch1 Convolution < > res~_branch1 {wide} 1/{stride}+0
bn~_branch1 BatchNorm res~_branch1 > res~_branch1
scale~_branch1 Scale res~_branch1 > res~_branch1
"""
BRANCH = """
res~_branch2a Convolution < > res~_branch2a {width} 1/{stride}+0
bn~_branch2a BatchNorm res~_branch2a > res~_branch2a
scale~_branch2a Scale res~_branch2a > res~_branch2a
res~_branch2a_relu ReLU res~_branch2a > res~_branch2a
res~_branch2b Convolution res~_branch2a > res~_branch2b {width} 3/1+1
bn~_branch2b BatchNorm res~_branch2b > res~_branch2b
scale~_branch2b Scale res~_branch2b > res~_branch2b
res~_branch2b_relu ReLU res~_branch2b > res~_branch2b
res~_branch2c Convolution res~_branch2b > res~_branch2c {wide} 1/1+0
bn~_branch2c BatchNorm res~_branch2c > res~_branch2c
scale~_branch2c Scale res~_branch2c > res~_branch2c
"""
SUM = """
res~ Eltwise {shortcut} res~_branch2c > res~
res~_relu ReLU res~ > res~
"""
TAIL = """
pool5 Pooling res5c > pool5 average 7/1+0
fc1000 InnerProduct pool5 > fc1000 1000
"""
WIDTHS = {"2": 64, "3": 128, "4": 256, "5": 512}

UNITS_50 = ["2a", "2b", "2c", "3a", "3b", "3c", "3d", "4a", "4b", "4c", "4d", "4e", "4f", "5a", "5b", "5c"]
UNITS_101 = [
    *["2a", "2b", "2c", "3a", "3b1", "3b2", "3b3", "4a"],
    *(f"4b{number}" for number in range(1, 23)),
    *["5a", "5b", "5c"],
]
UNITS_152 = [
    *["2a", "2b", "2c", "3a", "3b1", "3b2", "3b3", "3b4", "3b5", "3b6", "3b7", "4a"],
    *(f"4b{number}" for number in range(1, 36)),
    *["5a", "5b", "5c"],
]


def _lines(units: list[str], bias: str = "") -> list[str]:
    text, before = STEM.format(bias=bias), "pool1"
    for unit in units:
        width = WIDTHS[unit[0]]
        first = unit.endswith("a")
        fill = {
            "width": width,
            "wide": 4 * width,
            "stride": 2 if first and unit != "2a" else 1,
            "shortcut": "res~_branch1" if first else "<",
        }
        parts = ((PROJECTION if first else "") + BRANCH + SUM).format(**fill)
        text += parts.replace("~", unit).replace(" < ", f" {before} ")
        before = f"res{unit}"
    return [line for line in (text + TAIL).splitlines() if line]


RESNET_50 = _lines(UNITS_50, bias=" bias")
RESNET_101 = _lines(UNITS_101)
RESNET_152 = _lines(UNITS_152)
