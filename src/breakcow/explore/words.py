"""What the compiled search works on, as its annotations name it."""

from typing import Any, TypeAlias

Words: TypeAlias = Any  # int64[:, ::1]
Row: TypeAlias = Any  # int64[::1]
States: TypeAlias = Any  # State[::1]
