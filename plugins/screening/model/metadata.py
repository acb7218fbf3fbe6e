"""What counts as a number in metadata that anybody may have written, and how metadata is kept from being changed."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite real number; True, "0.4" and NaN are none."""
    return (
        isinstance(value, int | float | np.integer | np.floating) and type(value) is not bool and math.isfinite(value)
    )


def read_only(value: Any) -> Any:
    """Return a copy that cannot be changed: mappings as proxies, lists as tuples, arrays as write-protected copies."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: read_only(part) for key, part in value.items()})
    if isinstance(value, list | tuple):
        return tuple(read_only(part) for part in value)
    if isinstance(value, np.ndarray):
        copy = value.copy()
        copy.flags.writeable = False
        return copy
    return value
