"""The GPU of these tests, and the mark that skips them without one."""

import pytest
import torch

GPU = torch.device("cuda")
needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a GPU, and torch sees none on this machine"
    ),
]
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
