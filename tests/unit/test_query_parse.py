"""Reading query text: what it is read as, and what is said about text that cannot be read."""

import pytest

from smalti.errors import QueryError
from smalti.query.nodes import All, And, Exists, Node, Not, Or, Range, Some, Term
from smalti.query.parse import MAX_CLAUSES, MAX_DEPTH, parse, quote
from smalti.query.values import ANY_CHAR, ANY_TEXT


def label(text: str, kind: str = "word") -> Term:
    return Term("roi", "label", text, kind, exact=True)  # type: ignore[arg-type]


def roi(item: Node) -> Some:
    return Some("roi", item)


def meta(path: str, text: str, kind: str = "word", exact: bool = False) -> Term:
    return Term("frame", f"meta.{path}", text, kind, exact)  # type: ignore[arg-type]


CASES: list[tuple[str, Node]] = [
    ("", All()),
    ("  *  ", All()),
    ("*:*", All()),
    ("car", roi(label("car"))),
    ("label:car AND meta.city:bremen", And((roi(label("car")), meta("city", "bremen")))),
    # Outside brackets each condition stands alone, inside one bracket they speak of one ROI.
    ("car AND NOT occluded", And((roi(label("car")), Not(roi(label("occluded")))))),
    ("(car AND NOT occluded)", roi(And((label("car"), Not(label("occluded")))))),
    ("label:(car OR truck)", roi(Or((label("car"), label("truck"))))),
    ("((car) AND (truck))", roi(And((label("car"), label("truck"))))),
    ("(car) AND (truck)", And((roi(label("car")), roi(label("truck"))))),
    # A bracket that mixes: the frame's condition is settled first.
    ("(car AND meta.a:1 AND x)", And((roi(And((label("car"), label("x")))), meta("a", "1")))),
    ("(car OR meta.a:1)", Or((roi(label("car")), meta("a", "1")))),
    ("(car AND (x OR meta.a:1))", Or((roi(And((label("car"), label("x")))), And((roi(label("car")), meta("a", "1")))))),
    ("NOT (car OR meta.a:1)", Not(Or((roi(label("car")), meta("a", "1"))))),
    # AND binds before OR; neighbours are ANDed; other spellings.
    ("a OR b c", Or((roi(label("a")), And((roi(label("b")), roi(label("c"))))))),
    (
        "a && !b || -c +d",
        Or((And((roi(label("a")), Not(roi(label("b"))))), And((Not(roi(label("c"))), roi(label("d")))))),
    ),
    ("NOT NOT a", roi(label("a"))),
    ("\"Bus Stop\" 'Blue one'", And((roi(label("Bus Stop", "phrase")), roi(label("Blue one", "phrase"))))),
    ("don't", roi(label("don't"))),
    # Values.
    ("meta.cam:at_front*", meta("cam", f"at_front{ANY_TEXT}", "wildcard")),
    ("meta.cam:a?", meta("cam", f"a{ANY_CHAR}", "wildcard")),
    (r"meta.cam:a\*", meta("cam", "a*")),
    (r"meta.p:a\:b\ c\u0041", meta("p", "a:b cA")),
    ('meta.p:"say \\"x\\""', meta("p", 'say "x"', "phrase")),
    ("meta.p.keyword:X", meta("p", "X", exact=True)),
    ("meta.keyword:X", meta("keyword", "X")),
    ("meta.idx:[3 TO 7}", Range("frame", "meta.idx", "3", "7", False, True)),
    ("meta.idx:{* TO 7]", Range("frame", "meta.idx", None, "7", True, False)),
    ("meta.idx:>=3", Range("frame", "meta.idx", "3")),
    ("meta.idx:< 3", Range("frame", "meta.idx", None, "3", False, True)),
    (
        "meta.t:[2024-10-20T08:00:00 TO 2024-10-20T09:00:00]",
        Range("frame", "meta.t", "2024-10-20T08:00:00", "2024-10-20T09:00:00"),
    ),
    ("meta.a:(1 OR 2)", Or((meta("a", "1"), meta("a", "2")))),
    ("meta.a:*", Exists("frame", "meta.a")),
    ("_exists_:meta.a.b", Exists("frame", "meta.a.b")),
    (
        'car^2 foo~ "a b"~3 (x)^1.5',
        And(tuple(map(roi, (label("car"), label("foo"), label("a b", "phrase"), label("x"))))),
    ),
    # Fields and their scopes.
    ("rois.label.keyword:cat", roi(label("cat"))),
    ("roi.meta.k:1", roi(Term("roi", "meta.k", "1"))),
    ("confidence:[0.5 TO *]", roi(Range("roi", "confidence", "0.5"))),
    ("id:f0036", Term("frame", "id", "f0036", exact=True)),
    ("sources.uri:s3://b/*", Some("source", Term("source", "uri", f"s3://b/{ANY_TEXT}", "wildcard", True))),
    ("source.id:00", Some("source", Term("source", "id", "00", exact=True))),
    ("mask.person.share:[0.05 TO *]", Some("mask", Range("mask", "share", "0.05", of="person"))),
    ("mask.car.pixels:>1000", Some("mask", Range("mask", "pixels", "1000", None, True, of="car"))),
    ('mask.label("traffic light").share:>0', Some("mask", Range("mask", "share", "0", None, True, of="traffic light"))),
    ('_exists_:mask.label("x y").share', Some("mask", Exists("mask", "share", "x y"))),
    ("mask.void.share:0", Some("mask", Term("mask", "void.share", "0"))),
    ('mask.label("void").share:0', Some("mask", Term("mask", "share", "0", of="void"))),
    (
        "mask.labels:(car AND person)",
        Some("mask", And((Term("mask", "labels", "car", exact=True), Term("mask", "labels", "person", exact=True)))),
    ),
    ("(mask.car.share:>0.1 AND mask.mode:P)", None),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("text", "tree"), CASES, ids=[text or "(empty)" for text, _ in CASES])
def test_text_is_read_as(text: str, tree: Node | None) -> None:
    if tree is None:
        found = parse(text)
        assert isinstance(found, Some)
        assert found.scope == "mask"
        assert isinstance(found.item, And)
        return
    assert parse(text) == tree


def test_a_roi_query_speaks_of_one_roi_even_without_brackets() -> None:
    assert parse('label.keyword:"Car" AND NOT label.keyword:"x"', "roi") == roi(
        And((label("Car", "phrase"), Not(label("x", "phrase"))))
    )
    assert parse("*", "roi") == roi(All())
    assert parse("sources:front confidence:>0.5", "roi") == roi(
        And((Term("roi", "sources", "front", exact=True), Range("roi", "confidence", "0.5", None, True)))
    )


def test_a_source_query_takes_its_prefixes_or_none() -> None:
    trees = [parse(f"{prefix}id:00 AND {prefix}width:640", "source") for prefix in ("", "source.", "sources.")]
    assert trees[0] == trees[1] == trees[2]
    assert trees[0] == Some("source", And((Term("source", "id", "00", exact=True), Term("source", "width", "640"))))


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("label:", 6, "a value is missing"),
        ("(a", 0, "never closed"),
        ("a)", 1, "nothing is open"),
        ("a OR", 4, "a condition is missing"),
        ("AND a", 0, "a condition is missing"),
        ("()", 1, "a condition is missing"),
        ("meta.x:[1 2]", 10, "a range is written"),
        ("meta.x:[1 TO 2", 7, "never closed"),
        ("meta.x:[1 TO ]", 13, "a value is missing"),
        ('meta.x:"a', 7, "a value is missing"),
        ("lable:car", 0, "no field 'lable'"),
        ("car AND ctiy:x", 8, "no field 'ctiy'"),
        ("meta_blob.x:1", 0, "not searchable"),
        ("roi.poly:1", 0, "not searchable"),
        ("meta.*:x", 0, "wildcards are for values"),
        ("mask.car.shre:1", 0, "no field 'car.shre'"),
        ("car and person", 4, "written in capitals"),
        ("[1 TO 2]", 0, "cannot start a condition"),
        ("mask.Car.share:>5%", 16, "share is a number, but '5%' is none; write 0.05"),
        ("timestamp:[x TO 3]", 11, "timestamp is a number, but 'x' is none"),
        ("timestamp:[3 TO x]", 16, "timestamp is a number, but 'x' is none"),
        ("timestamp:>yesterday", 11, "timestamp is a number"),
        ("roi.confidence:high", 15, "confidence is a number, but 'high' is none; give a number"),
        ('sources.masks.width:(1 OR "wide")', 26, "width is a number"),
        ("mask.void.share:1,5", 16, "void.share is a number"),
        ("label:/ca.*/", 6, "regular expressions are not supported"),
        ("NOT (/[cC]ar/)", 5, "regular expressions are not supported"),
        ("label :car", 6, "without a space"),
    ],
)
def test_errors_point_at_the_fault(text: str, column: int, reason: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert caught.value.column == column
    assert reason in caught.value.reason
    assert f"\n  {text}\n  {' ' * column}^" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "timestamp:>2024-10-20",
        'timestamp:["2024-10-20T08:00:00" TO *]',
        "confidence:*",
        "confidence:0.?",
        "confidence:+1e-3",
        "mask.size:20x10",
        "meta.share:high",
        "roi.meta.width:wide",
        "sources.uri:/data/Z.mp4",
        'meta.folder:"/data/"',
        "label:a\\:b",
        '":car"',
    ],
)
def test_what_looks_like_a_slip_and_is_none(text: str) -> None:
    parse(text)


def test_errors_name_what_may_have_been_meant() -> None:
    for text, meant in [
        ("lable:x", "label"),
        ("city:x", "meta.city"),
        ("sources.urii:x", "sources.uri"),
        ("a and b", "AND"),
    ]:
        with pytest.raises(QueryError) as caught:
            parse(text)
        assert meant in caught.value.completions


def test_a_frame_query_needs_fields() -> None:
    with pytest.raises(QueryError, match="name the field"):
        parse("bremen", "frame")


def test_limits() -> None:
    parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH)
    for text in [
        "(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1),
        " ".join(["a"] * (MAX_CLAUSES + 1)),
        "ä" * 2049,
        "(" + " AND ".join(f"(a{i} OR meta.x:{i})" for i in range(8)) + ")",
    ]:
        with pytest.raises(QueryError):
            parse(text)
    parse("NOT " * 500 + "a")


def test_a_quoted_value_is_read_back() -> None:
    for value in ['a "b"', "back\\slash", "car*", "", "AND"]:
        if value:
            assert parse(f"label:{quote(value)}") == roi(label(value, "phrase"))


def test_a_slip_in_the_field_of_a_label_keeps_the_label() -> None:
    with pytest.raises(QueryError) as caught:
        parse("label:car AND (mask.car.pixel:1)")
    assert caught.value.column == 15
    assert caught.value.completions[:2] == ("mask.car.pixels", "mask.car.share")
