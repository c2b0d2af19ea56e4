"""How much a decoder may spend on one file: asked before anything is allocated."""

import os
from dataclasses import dataclass

from smalti.errors import DecodeError

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that a file must keep to be decoded.

    Attributes:
        max_pixels: the largest width × height; 2**27 is 16384 × 8192, or 384 MiB as 8-bit RGB.
        max_bytes: the largest encoded still, in bytes; clips are read in ranges and have no such bound.
    """

    max_pixels: int = 1 << 27
    max_bytes: int = 1 << 29

    def __post_init__(self) -> None:
        for name in ("max_pixels", "max_bytes"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Limits.{name} is {value!r}: a whole number above 0 is needed")

    @classmethod
    def from_environment(cls) -> "Limits":
        """The defaults, with SMALTI_MAX_PIXELS and SMALTI_MAX_BYTES put in where they are set."""
        given: dict[str, int] = {}
        for name in ("max_pixels", "max_bytes"):
            variable = f"SMALTI_{name.upper()}"
            text = os.environ.get(variable)
            if text is None:
                continue
            if not text.strip().isdecimal() or int(text) < 1:
                raise ValueError(f"the environment variable {variable} is {text!r}: a whole number above 0 is needed")
            given[name] = int(text)
        return cls(**given)

    def check_pixels(self, width: int, height: int, *, content_type: str) -> None:
        """Refuse a picture that announces more pixels than allowed, or none.

        Raises:
            DecodeError: the size is zero or above `max_pixels`.
        """
        if width < 1 or height < 1:
            raise DecodeError(
                f"{content_type}: the header announces {width}×{height} pixels; both sides must be at least 1",
                content_type=content_type,
            )
        if width * height > self.max_pixels:
            raise DecodeError(
                f"{content_type}: {width}×{height} is {width * height} pixels, the limit is {self.max_pixels}; "
                "pass Limits(max_pixels=...) or set SMALTI_MAX_PIXELS if the file is to be trusted",
                content_type=content_type,
            )

    def check_bytes(self, size: int, *, content_type: str | None = None) -> None:
        """Refuse more encoded bytes than allowed.

        Raises:
            DecodeError: `size` is above `max_bytes`.
        """
        if size > self.max_bytes:
            raise DecodeError(
                f"{content_type or 'a still'} of {size} bytes, the limit is {self.max_bytes}; "
                "pass Limits(max_bytes=...) or set SMALTI_MAX_BYTES if the file is to be trusted",
                content_type=content_type,
            )


DEFAULT_LIMITS = Limits.from_environment()
