"""Where to compute, in what precision, and with how many threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from isthmus._errors import InvalidParameterError
from isthmus.training.contracts import Learner

PRECISIONS = ("auto", "float32", "bfloat16")
MANY_PRODUCTS = 1 << 24
FEW_PRODUCTS = 1 << 23


def find_device(device: str | torch.device) -> torch.device:
    """The device of this name; ``"auto"`` is the first CUDA device, or else the processor.

    Raises:
        InvalidParameterError: Torch knows no such device, or it is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, dtype=torch.float64, device=found)
    except (RuntimeError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidParameterError(
            f"device must be 'auto', 'cpu' or a device that torch can use with float64; "
            f"got {device!r} ({reason})."
        ) from error
    return found


def require_precision(precision: str) -> str:
    """The name itself, if it is one of `PRECISIONS`.

    Raises:
        InvalidParameterError: No such precision.
    """
    if precision not in PRECISIONS:
        raise InvalidParameterError(
            f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}."
        )
    return precision


def wants_half_precision(precision: str, model: Learner, batch_size: int) -> bool:
    """Whether the networks compute in bfloat16.

    ``"auto"`` does so where it is faster: the hardware multiplies bfloat16 matrices, and a batch
    asks for enough products to pay for the conversions (measured on a processor with AVX512-BF16,
    where both precisions take the same time at about 2²⁴ products a step, for any shape).

    Args:
        precision: One of `PRECISIONS`.
        model: Its networks are asked for the size of their layers.
        batch_size: Rows per step.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if not multiplies_half_precision(model.device):
        return False
    return products_per_row(model) * batch_size >= MANY_PRODUCTS


def is_small(model: Learner, batch_size: int) -> bool:
    """Whether a step is too small to be shared between threads.

    Below some 2²³ products a step, handing the work to a second thread and waiting for it takes
    longer than doing it, and on a busy machine many times longer.

    Args:
        model: Its networks are asked for the size of their layers.
        batch_size: Rows per step.
    """
    return model.device.type == "cpu" and products_per_row(model) * batch_size < FEW_PRODUCTS


@contextmanager
def on_one_thread(*, wanted: bool) -> Iterator[None]:
    """Compute on one thread inside the block if that is wanted; as before afterwards."""
    before = torch.get_num_threads()
    if not wanted or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def multiplies_half_precision(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 matrices; elsewhere they are emulated, slowly.

    CUDA devices that support it, and processors with AVX512-BF16 or AMX.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@torch.no_grad()
def products_per_row(model: Learner) -> int:
    """Multiplications in the layers with weights, when one row goes to its code and back."""
    total = 0

    def count(module: nn.Module, _given: object, out: Tensor) -> None:
        nonlocal total
        weight = module.weight
        if isinstance(weight, Tensor) and weight.ndim > 1:
            total += weight.numel() * out[0].numel() // len(weight)

    layers = [module for module in model.modules() if hasattr(module, "weight")]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        row = torch.zeros(1, model.shape.n_features, device=model.device)
        model.decode(model.code(row))
    finally:
        for hook in hooks:
            hook.remove()
    return total
