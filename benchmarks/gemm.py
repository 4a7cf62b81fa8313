"""The peak of this machine: the rate of square matrix products, in a process of its own.

Prints one JSON object: FLOP/s in float32 and bfloat16, the best of many products of 2048 × 2048.
"""

import json
import time

import torch

SIZE = 2048
REPEATS = 20


def peak(dtype: torch.dtype) -> float:
    a, b = torch.randn(2, SIZE, SIZE).to(dtype)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * SIZE**3 / min(seconds)


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "float32": peak(torch.float32),
                "bfloat16": peak(torch.bfloat16),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            }
        )
    )
