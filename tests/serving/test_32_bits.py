"""Weights in 32 bits: four bytes each, a cache of four, and products at the rate of TF32."""

from __future__ import annotations

import pytest

from milp_planner.serving.gpu_formats import compute_flops
from milp_planner.serving.roofline import roofline
from tests.support.serving.toys import box, toy


@pytest.mark.parametrize(
    ("fields", "tflops"),
    [
        ({}, 50),  # TF32: half of 100
        ({"compute_capability": 8.0}, 50),
        ({"compute_capability": 7.5}, 12.5),  # no TF32: an eighth
        ({"fp32_tflops": 6}, 6),
    ],
)
def test_32_bit_products_take_the_rate_of_tf32_or_what_the_row_says(
    fields: dict[str, float], tflops: float
) -> None:
    assert compute_flops(box(**fields), "fp32") == tflops * 1e12


def test_32_bit_weights_and_their_cache_take_twice_the_bytes_of_16() -> None:
    wide, half = (roofline(toy(), box(), name, 1, 100, 100) for name in ("fp32", "bf16"))
    assert wide.body_s == pytest.approx(2 * half.body_s)
    assert wide.kv_s == pytest.approx(2 * half.kv_s)
    assert wide.compute_s == pytest.approx(2 * half.compute_s)
