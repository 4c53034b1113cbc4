"""The limits of float32, as C names them: with them Caffe begins a search, or bounds what it takes the logarithm of."""

import torch

LARGEST = torch.finfo(torch.float32).max  # FLT_MAX
LOWEST = torch.finfo(torch.float32).min  # -FLT_MAX: the maximum of no numbers
SMALLEST = torch.finfo(
    torch.float32
).tiny  # FLT_MIN, the least above 0: -log of it is the 87.3365 of diverged runs
