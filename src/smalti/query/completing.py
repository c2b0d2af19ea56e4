"""How a query could go on: fields, labels and values at a position of its text."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

from smalti.query.fields import Mode, known_fields
from smalti.query.parse import quote

__all__ = ["Completion", "Kind", "Words", "complete"]

Kind = Literal["field", "label", "value", "operator"]
_MOST = 20
_PLAIN = re.compile(r"[\w.-]+")
_PIECE = re.compile(r"""\\.|["']|[()\[\]{}]|[^\s()\[\]{}"'\\]+|\s+""", re.DOTALL)
_MASK_LABEL = re.compile(r"masks?\.label")
_OPERATORS = ("AND", "OR", "NOT")


class Completion(NamedTuple):
    """What may stand instead of the characters from `start` to `stop`."""

    text: str
    start: int
    stop: int
    kind: Kind


class Words(Protocol):
    """What the frames that are asked about have: `smalti.store.words` knows it of a version."""

    def labels(self) -> Sequence[str]:
        """Every label of a ROI or of a mask."""
        ...

    def meta_paths(self) -> Sequence[str]:
        """Paths of metadata, from `meta.` on."""
        ...

    def values(self, field: str) -> Sequence[str]:
        """Texts that a field has, as examples; none where it is not known."""
        ...


def complete(
    text: str, position: int | None = None, *, mode: Mode = "view", words: Words | None = None
) -> list[Completion]:
    """What may come at a position of a query, best first; at most 20.

    Args:
        text: the query as far as it is written; it need not be one that can be read.
        position: the caret; default: the end.
        mode: as in `parse`.
        words: what the frames have; without it only the fixed names of fields are known.
    """
    caret = len(text) if position is None else max(0, min(position, len(text)))
    start, field, after_condition = _context(text[:caret])
    typed = text[start:caret]
    labels = words.labels() if words is not None else ()
    found: list[tuple[str, Kind]]
    if field is not None:
        found = [(_quoted(value), kind) for value, kind in _values(field, labels, words)]
    else:
        found = list(_starts(mode, labels, words))
        operators: list[tuple[str, Kind]] = [(name, "operator") for name in _OPERATORS]
        found = [*operators, *found] if after_condition and not typed else [*found, *operators]
    return [Completion(word, start, caret, kind) for word, kind in _near(typed, found)]


def _context(before: str) -> tuple[int, str | None, bool]:
    """Where the word at the end starts, the field whose value it is, and whether a condition stands before it."""
    fields: list[str | None] = [None]
    start, field, done = 0, None, False
    opened: str | None = None
    for piece in _PIECE.finditer(before):
        part = piece[0]
        if opened is not None:
            opened = None if part == opened else opened
        elif part in ('"', "'") and start == piece.start():
            opened = part
        elif part == "(" and _MASK_LABEL.fullmatch(before, start, piece.start()):
            opened = ")"  # the name of a label follows, whatever it holds
        elif part == "(":
            fields.append(field)
            start, done = piece.end(), False
        elif part == ")":
            fields = fields[:-1] or [None]
            start, done, field = piece.end(), True, fields[-1]
        elif part.isspace():
            done = before[start : piece.start()] not in ("", *_OPERATORS, "&&", "||", "!") or (
                done and start == piece.start()
            )
            start, field = piece.end(), fields[-1]
        elif part[-1:] == ":":
            field, start = before[start : piece.end() - 1], piece.end()
        elif ":" in part and not part.startswith(":") and field is fields[-1]:
            name, _, _ = part.partition(":")
            field, start = before[start : piece.start()] + name, piece.start() + len(name) + 1
    return start, field, done


def _values(field: str, labels: Sequence[str], words: Words | None) -> Iterator[tuple[str, Kind]]:
    name = field.lstrip("+-!").removesuffix(".keyword")
    if name.rpartition(".")[2] in ("label", "labels"):
        yield from ((label, "label") for label in labels)
    elif words is not None:
        yield from ((value, "value") for value in words.values(name))


def _starts(mode: Mode, labels: Sequence[str], words: Words | None) -> Iterator[tuple[str, Kind]]:
    """What a condition may start with."""
    yield from (
        (f"{name}:", "field")
        for name in known_fields(mode)
        if not name.endswith(".") and "<" not in name and "…" not in name
    )
    if words is not None and mode in ("view", "frame"):
        yield from ((f"{path}:", "field") for path in words.meta_paths())
    if mode in ("view", "roi"):
        yield from ((_quoted(label), "label") for label in labels)
    if mode == "view":
        for label in labels:
            owner = f"mask.{label}" if re.fullmatch(r"\w+", label) else f"mask.label({quote(label)})"
            yield from ((f"{owner}.{field}:", "field") for field in ("share", "pixels"))


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and value not in _OPERATORS else quote(value)


def _near(typed: str, known: Sequence[tuple[str, Kind]]) -> list[tuple[str, Kind]]:
    """What begins with the typed text, then what holds it, else what looks like it; quotes may be missing."""
    low = _bare(typed)
    listed = [(_bare(item[0]), item) for item in known]
    found = [item for text, item in listed if text.startswith(low)] + [item for text, item in listed if low in text]
    if not found:
        near = difflib.get_close_matches(typed, [text for text, _ in known], n=5, cutoff=0.6)
        found = [item for item in known if item[0] in near]
    return list(dict.fromkeys(found))[:_MOST]


def _bare(text: str) -> str:
    return re.sub(r"""\blabel\(|["')]""", "", text).casefold()
