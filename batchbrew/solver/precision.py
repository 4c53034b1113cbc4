"""How exactly the torch engine computes: the names that --precision and a recipe's training.precision take.

`fp32` is Caffe's own. `tf32` rounds the factors of convolutions and inner products to 10 bits, `bf16` to 7 bits, and
with it what lies between layers. Weights, BatchNorm's statistics, losses and updates are float32 in each.
"""

PRECISIONS = ("fp32", "tf32", "bf16")
DEFAULT_PRECISION = "fp32"
