"""Standard output: one JSON object, one line for each of its members.

JSON has no infinity and no NaN; null stands for them. Numbers of single precision are printed with
the digits they have.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any


def show(record: Mapping[str, Any]) -> None:
    """Print a record."""
    members = (f"  {json.dumps(name)}: {to_json(value)}" for name, value in record.items())
    print("{\n" + ",\n".join(members) + "\n}")


def to_json(value: Any) -> str:
    """Strict JSON on one line."""
    return json.dumps(plain(value), allow_nan=False)


def plain(value: Any) -> Any:
    """Parts, arrays, paths and numbers as what JSON knows."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if is_dataclass(value):
        from isthmus._registry import to_card

        return plain(to_card(value))
    if hasattr(value, "tolist"):
        single = value.dtype.kind == "f" and value.dtype.itemsize < 8
        return plain((value.astype(str).astype(float) if single else value).tolist())
    return str(value)
