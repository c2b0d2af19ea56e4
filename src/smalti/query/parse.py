"""Query text (Lucene's syntax, as ClearML uses it) to a tree.

`parse` reads the one-string form of `version.view(...)`; with `mode` "roi", "frame" or "source" it reads the text of a
label rule, a frame query or a source query. Neighbours without an operator are joined by AND; NOT binds before AND, AND
before OR.
"""

import re

from smalti.errors import QueryError
from smalti.query.bind import Both, Bracket, Negated, Written, bind
from smalti.query.fields import Field, Mode, UnknownField, find_field
from smalti.query.nodes import All, Exists, Leaf, Node, Range, Term
from smalti.query.values import ANY_CHAR, ANY_TEXT, as_number, instant_span

__all__ = ["MAX_BYTES", "MAX_CLAUSES", "MAX_DEPTH", "parse", "quote"]

MAX_BYTES = 4096
MAX_DEPTH = 20
MAX_CLAUSES = 200

_SPACE = re.compile(r"\s*")
_OPERATOR = re.compile(r"(AND|OR|NOT)(?=[\s()!\"'+-]|$)|&&|\|\|")
_WORD = re.compile(r"""(?:\\u[0-9a-fA-F]{4}|\\.|[^\s()\[\]{}"\\])+""", re.DOTALL)
_NAME = re.compile(r"""(?:\\.|[^\s()\[\]{}"':\\])+(?=:)""", re.DOTALL)
_MASK_LABEL = re.compile(r"""masks?\.label\(\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')\s*\)\.([\w.]+)(?=:)""", re.DOTALL)
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"' + r"|'((?:\\.|[^'\\])*)'", re.DOTALL)
_BOUND = re.compile(r"""(?:\\.|[^\s\[\]{}()"\\])+""", re.DOTALL)
_WEIGHT = re.compile(r"(?:\^\d+(?:\.\d+)?|~\d*(?:\.\d+)?)+(?=[\s()]|$)")
_COMPARE = re.compile(r">=|<=|>|<")
_REGEX = re.compile(r"/(?:[^/\s\\]|\\.)+/(?=[\s)]|$)")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)", re.DOTALL)


def parse(text: str, mode: Mode = "view") -> Node:
    """The tree that a text means; an empty text matches everything.

    Args:
        text: at most 4 kB, 20 brackets deep, 200 conditions.
        mode: "view" for the one-string form; "roi", "frame" or "source" for the text of a ROI, frame or source query.

    Raises:
        QueryError: the text cannot be read; the message shows where, and what may have been meant.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise QueryError(f"the query has {size} bytes, at most {MAX_BYTES} are allowed; split it into several filters")
    reader = _Reader(text, mode)
    written = reader.whole()
    one = {"roi": "roi", "source": "source"}.get(mode)
    if one == "roi":
        return bind(written, one="roi", text=text)
    if isinstance(written, All):
        return All()
    return bind(written, one="source" if one else None, text=text)


def quote(value: str) -> str:
    """A value as a phrase that matches it and nothing else in a `.keyword` field."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Reader:
    """One pass over the text, left to right."""

    def __init__(self, text: str, mode: Mode) -> None:
        self.text = text
        self.mode = mode
        self.at = 0
        self.clauses = 0

    def fail(self, message: str, column: int | None = None, completions: tuple[str, ...] = ()) -> QueryError:
        return QueryError(
            message, text=self.text, column=self.at if column is None else column, completions=completions
        )

    def whole(self) -> Written:
        self.space()
        if self.at == len(self.text):
            return All()
        found = self.either(None, 0)
        if self.at < len(self.text):
            raise self.fail(f"nothing is open that {self.text[self.at]!r} could close")
        return found

    def space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def operator(self) -> str:
        """The operator that stands here ("AND", "OR", "NOT" or nothing), not yet taken."""
        found = _OPERATOR.match(self.text, self.at)
        return {"&&": "AND", "||": "OR"}.get(found[0], found[0]) if found else ""

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def either(self, field: Field | None, depth: int) -> Written:
        items = [self.both(field, depth)]
        while self.operator() == "OR":
            self.take(_OPERATOR)
            self.space()
            items.append(self.both(field, depth))
        return items[0] if len(items) == 1 else Both(False, items)

    def both(self, field: Field | None, depth: int) -> Written:
        items = [self.negation(field, depth)]
        while True:
            self.space()
            if self.operator() == "AND":
                self.take(_OPERATOR)
                self.space()
            elif self.operator() == "OR" or self.peek() in ("", ")"):
                return items[0] if len(items) == 1 else Both(True, items)
            items.append(self.negation(field, depth))

    def negation(self, field: Field | None, depth: int) -> Written:
        negated = False
        while True:
            if self.operator() == "NOT":
                self.take(_OPERATOR)
                negated = not negated
            elif self.peek() in ("!", "-", "+") and self.text[self.at + 1 : self.at + 2].strip() not in ("", ")"):
                negated = negated != (self.peek() != "+")
                self.at += 1
            else:
                break
            self.space()
        found = self.primary(field, depth)
        return Negated(found) if negated else found

    def primary(self, field: Field | None, depth: int) -> Written:
        start = self.at
        if self.peek() in ("", ")") or self.operator():
            what = self.operator() or self.peek() or "the end"
            raise self.fail(f"a condition is missing before {what}")
        self.clauses += 1
        if self.clauses > MAX_CLAUSES:
            raise self.fail(f"the query has more than {MAX_CLAUSES} conditions; split it into several filters")
        if self.peek() == "(":
            return self.bracket(field, depth)
        labelled = self.take(_MASK_LABEL)
        name = None if labelled else _NAME.match(self.text, self.at)
        if labelled:
            self.at += 1
            return self.value(self.field(f"mask.{labelled[2]}", start, _unescape(labelled[1][1:-1])), depth, start)
        if name:
            self.at = name.end() + 1
            if name[0] == "_exists_":
                return self.exists()
            if name[0] == "*" and self.peek() == "*":
                self.at += 1
                return All()
            return self.value(self.field(_unescape(name[0]), start), depth, start)
        return self.value(field, depth, start)

    def field(self, name: str, column: int, of: str | None = None) -> Field:
        if "*" in name:
            raise self.fail("wildcards are for values, not for names of fields", column)
        try:
            return find_field(name, self.mode, of)
        except UnknownField as error:
            raise self.fail(str(error), column, error.completions) from None

    def bracket(self, field: Field | None, depth: int) -> Written:
        start = self.at
        if depth >= MAX_DEPTH:
            raise self.fail(f"brackets are nested more than {MAX_DEPTH} deep")
        self.at += 1
        self.space()
        found = self.either(field, depth + 1)
        if self.peek() != ")":
            raise self.fail("this bracket is never closed", start)
        self.at += 1
        self.take(_WEIGHT)
        return Bracket(found, start)

    def exists(self) -> Written:
        start = self.at
        labelled = re.compile(_MASK_LABEL.pattern.removesuffix("(?=:)"), re.DOTALL).match(self.text, self.at)
        if labelled:
            self.at = labelled.end()
            field = self.field(f"mask.{labelled[2]}", start, _unescape(labelled[1][1:-1]))
            return Exists(field.scope, field.path, field.of)
        quoted = self.take(_QUOTED)
        found = quoted or self.take(_WORD)
        if not found:
            raise self.fail("_exists_ needs the name of a field", completions=("_exists_:meta.",))
        name = _unescape((quoted[1] or quoted[2]) if quoted else found[0])
        field = self.field(name, start)
        return Exists(field.scope, field.path, field.of)

    def value(self, field: Field | None, depth: int, start: int) -> Written:
        """What follows `field:`, or a bare term."""
        if self.peek() == "(":
            return self.bracket(field, depth)
        named = field is not None
        if field is None:
            if self.mode not in ("view", "roi"):
                raise self.fail(
                    "name the field of this value", start, (f"meta.…:{self.text[start : start + 20].split()[0]}",)
                )
            field = Field("roi", "label", exact=True)
        if self.peek() in ("[", "{") and named:
            return self.range(field)
        compare = self.take(_COMPARE) if named else None
        if compare:
            self.space()
            bound = self.bound(compare[0], field)
            upper = compare[0][0] == "<"
            is_open = len(compare[0]) == 1
            self.take(_WEIGHT)
            low, high = (None, bound) if upper else (bound, None)
            return Range(field.scope, field.path, low, high, is_open and not upper, is_open and upper, field.of)
        column = self.at
        quoted = self.take(_QUOTED)
        if quoted:
            self.take(_WEIGHT)
            text = _unescape(quoted[1] if quoted[1] is not None else quoted[2])
            self.check_number(field, text, column)
            return Term(field.scope, field.path, text, "phrase", field.exact, field.of)
        return self.word(field, named, start)

    def word(self, field: Field, named: bool, start: int) -> Leaf | All:
        column = self.at
        regex = _REGEX.match(self.text, column)
        if regex:
            reason = (
                "regular expressions are not supported; use the wildcards * and ?, or quotes for a text with slashes"
            )
            raise self.fail(reason, completions=(f'"{regex[0]}"',))
        found = self.take(_WORD)
        if not found:
            raise self.fail("a value is missing" if named else f"{self.peek()!r} cannot start a condition")
        raw = found[0]
        if not named and raw[0] == ":":
            reason = "a colon follows the name of its field without a space; put it in quotes if it is part of a label"
            raise self.fail(reason, column)
        weight = re.search(r"(?:\^\d+(?:\.\d+)?|~\d*(?:\.\d+)?)$", raw)
        if weight and weight.start() > 0 and raw[weight.start() - 1] != "\\":
            raw = raw[: weight.start()]
        if not named and raw in ("and", "or", "not"):
            reason = f'operators are written in capitals; put "{raw}" in quotes if it is a label'
            raise self.fail(reason, start, (raw.upper(), f'"{raw}"'))
        text = _unescape(raw, wild=True)
        if text == ANY_TEXT:
            return Exists(field.scope, field.path, field.of) if named else All()
        if ANY_TEXT in text or ANY_CHAR in text:
            return Term(field.scope, field.path, text, "wildcard", field.exact, field.of)
        self.check_number(field, text, column)
        return Term(field.scope, field.path, text, "word", field.exact, field.of)

    def range(self, field: Field) -> Leaf:
        start = self.at
        low_open = self.peek() == "{"
        self.at += 1
        self.space()
        low = self.bound("the opening bracket", field)
        self.space()
        if not self.take(re.compile(r"TO(?=\s)")):
            raise self.fail("a range is written [from TO to]", completions=("TO",))
        self.space()
        high = self.bound("TO", field)
        self.space()
        if self.peek() not in ("]", "}") or not self.peek():
            raise self.fail("this range is never closed", start)
        high_open = self.peek() == "}"
        self.at += 1
        self.take(_WEIGHT)
        return Range(field.scope, field.path, low, high, low_open, high_open, field.of)

    def bound(self, after: str, field: Field) -> str | None:
        column = self.at
        quoted = self.take(_QUOTED)
        found = quoted or self.take(_BOUND)
        if not found:
            raise self.fail(f"a value is missing after {after}", completions=("*",))
        if quoted:
            text = _unescape(quoted[1] if quoted[1] is not None else quoted[2])
        elif found[0] == "*":
            return None
        else:
            text = _unescape(found[0])
        self.check_number(field, text, column)
        return text

    def check_number(self, field: Field, text: str, column: int) -> None:
        """Refuse a text where only numbers are: it would match nothing and say so nowhere. Times are numbers too."""
        if not field.is_number or as_number(text) is not None or instant_span(text) is not None:
            return
        share = as_number(text.removesuffix("%")) if text.endswith("%") else None
        hint = "give a number, e.g. 0.5" if share is None else f"write {share / 100:g}"
        raise self.fail(f"{field.path} is a number, but {text!r} is none; {hint}", column)


def _unescape(raw: str, *, wild: bool = False) -> str:
    r"""The text without its backslashes; `\*` is a star, a plain `*` is a wildcard where `wild`."""
    parts = []
    at = 0
    for found in _ESCAPE.finditer(raw):
        parts.append(_wild(raw[at : found.start()]) if wild else raw[at : found.start()])
        parts.append(chr(int(found[1], 16)) if found[1] else found[2])
        at = found.end()
    parts.append(_wild(raw[at:]) if wild else raw[at:])
    return "".join(parts)


def _wild(text: str) -> str:
    return text.replace("*", ANY_TEXT).replace("?", ANY_CHAR)
