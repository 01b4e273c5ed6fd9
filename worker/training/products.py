"""Products of half-precision matrices whose result stays in float32.

Some devices have them as one product; where they do not, the product is rounded to half precision once before it is
widened. Which it is, is tried once a device: a small sum of products with a known result.
"""

from functools import cache

import torch
from torch import Tensor

HALVES = (torch.bfloat16, torch.float16)


def product_in_float32(left: Tensor, right: Tensor) -> Tensor:
    """left @ right of two half-precision matrices, float32."""
    if _has_wide_products(left.device, left.dtype):
        return torch.mm(left, right, out_dtype=torch.float32)
    return torch.mm(left, right).float()


def add_product_in_float32(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Adds left @ right of two half-precision matrices to a float32 matrix, in place."""
    if _has_wide_products(left.device, left.dtype):
        torch.addmm(total, left, right, out_dtype=torch.float32, out=total)
    else:
        total += left @ right


def _has_wide_products(device: torch.device, dtype: torch.dtype) -> bool:
    return device.type == "cuda" and _are_wide_products_right(device, dtype)


@cache
def _are_wide_products_right(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this build of torch has both for the device, and they add up.

    Of 16 × 16 numbers of 1.0 and 0.0078125 = 2^-7 the product is 16 · 2^-7 = 0.125; on 256 that is 256.125, which no
    half-precision number is.
    """
    ones = torch.ones(16, 16, device=device, dtype=dtype)
    small, total = ones / 128, torch.full((16, 16), 256.0, device=device)
    try:
        product = torch.mm(ones, small, out_dtype=torch.float32)
        torch.addmm(total, ones.T, small, out_dtype=torch.float32, out=total)
    except (RuntimeError, TypeError):
        return False
    return bool((product == 0.125).all()) and bool((total == 256.125).all())
