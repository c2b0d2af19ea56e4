"""What the shapes are made of: bounded names and texts, requests that are strict, answers that are not."""

from typing import Annotated

import msgspec

__all__ = ["In", "Limit", "Name", "Out", "Query", "Tags", "Text"]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Tags = Annotated[list[Annotated[str, msgspec.Meta(max_length=128)]], msgspec.Meta(max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=100_000)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Query = Annotated[str, msgspec.Meta(max_length=4096)]


class Out(msgspec.Struct, kw_only=True):
    """An answer."""


class In(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request: what it does not know is refused."""
