"""What a project's JSON Schema may be, and that applying it has bounds."""

import pytest

from exports import schemas
from exports.schemas import MAX_APPLICATIONS, PropsSchema, SchemaError


def errors(schema, props):
    return PropsSchema(schema).errors(props)


def nested(depth, name="a"):
    value: dict[str, object] = {}
    for _ in range(depth):
        value = {name: value}
    return value


def bomb(keyword, levels):
    """A few hundred bytes of which each level doubles what is applied."""
    defs = {f"a{n}": {keyword: [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**defs, f"a{levels}": {"type": "string"}}, "$ref": "#/$defs/a0"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "nonsense"}, r"at \$\.type"),
        ({"properties": {"a": {"minimum": "1"}}}, r"at \$\.properties\.a\.minimum"),
        ({"allOf": [{"type": 7}]}, r"at \$\.allOf\[0\]\.type"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "nonsense"}, "at"),
        ({"properties": {"a": {"pattern": "("}}}, "regex"),
        ({"properties": {"a": {"pattern": "((a{1000}){1000}){1000}"}}}, "regex"),
        ({"$ref": "https://example.com/schema"}, "must begin with #"),
        ({"$dynamicRef": "file:///etc/passwd"}, "must begin with #"),
        ({"properties": {"a": {"$ref": "b.json"}}}, "must begin with #"),
        ({"$ref": "#/$defs/missing"}, "there is nothing at #/\\$defs/missing"),
        ({"$ref": "#missing"}, "there is no anchor #missing"),
        ({"$defs": {"a": {"$id": "https://example.com/", "$ref": "#/b"}}}, "root alone"),
        ({"$ref": "#"}, "without end"),
        ({"allOf": [{"not": {"$ref": "#"}}]}, "without end"),
        ({"$dynamicAnchor": "a", "anyOf": [{"$dynamicRef": "#a"}]}, "without end"),
        *(
            (bomb(keyword, levels), "too intricate")
            for keyword in ("allOf", "anyOf", "oneOf")
            for levels in (9, 60)
        ),
        ({"properties": {"a": {"items": {"allOf": [True] * MAX_APPLICATIONS}}}}, "too intricate"),
    ],
)
def test_a_schema_that_is_none_or_can_not_be_applied_is_refused_and_told_why(schema, words):
    with pytest.raises(SchemaError, match=words):
        PropsSchema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"},
        {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "object"}}},
        {"$ref": "#here", "$defs": {"a": {"$anchor": "here"}}},
        {"properties": {"$id": {"type": "string"}, "$ref": {"type": "string"}}},
        {"default": {"$ref": "https://example.com"}},
        {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "rest": {"items": {"$ref": "#"}}}},
        {"properties": {"mail": {"pattern": r"^(?!\.)(?!.*\.\.)[\w.]+@(\w+\.)+\w{2,}$"}}},
    ],
)
def test_what_schemas_usually_are_is_taken(schema):
    assert errors(schema, {}) == []


def test_all_errors_are_found_with_their_places():
    schema = {
        "properties": {"list": {"items": {"type": "integer"}}, "name": {"maxLength": 2}},
        "additionalProperties": False,
    }
    found = errors(schema, {"list": [1, "x", 2.5], "name": "abc", "more": 1})
    assert {path for path, _ in found} == {("list", 1), ("list", 2), ("name",), ()}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"properties": {"n": {"type": "integer"}}}, {"n": 1.0}, {"n": True}),
        ({"properties": {"n": {"enum": [1]}}}, {"n": 1}, {"n": True}),
        ({"properties": {"t": {"maxLength": 1}}}, {"t": "😀"}, {"t": "ab"}),
        ({"properties": {"t": {"pattern": "^a$"}}}, {"t": "a"}, {"t": "a\n"}),
        ({"properties": {"t": {"prefixItems": [True], "items": False}}}, {"t": [1]}, {"t": [1, 2]}),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
        ({"allOf": [{"properties": {"a": True}}], "unevaluatedProperties": False}, {"a": 1}, {"b": 1}),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"b": 1}, {"a": 1}),
        ({"properties": {"t": {"contains": {"const": 1}, "minContains": 2}}}, {"t": [1, 1]}, {"t": [1]}),
    ],
)
def test_it_is_the_draft_of_2020(schema, right, wrong):
    assert errors(schema, right) == []
    assert errors(schema, wrong)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(?=a)(a+)+$", r"^(a*)*\1$"])
def test_a_pattern_that_would_be_tried_for_ever_is_not(pattern):
    """With Python's own ``re`` each of these takes longer than anybody waits."""
    assert errors({"properties": {"t": {"pattern": pattern}}}, {"t": "a" * 60 + "!"})


def test_a_text_that_takes_a_pattern_too_long_is_an_error_at_its_place():
    found = errors({"properties": {"t": {"pattern": "^(([a-z])+.)+[A-Z](?<=z)$"}}}, {"t": "a" * 50_000})
    assert found == [(("t",), "This text takes the schema's pattern too many steps to match.")]


def test_a_tree_that_is_described_in_several_ways_is_taken_to_a_depth():
    kinds = [{"properties": {"kind": {"const": kind}, "child": {"$ref": "#"}}} for kind in ("row", "column")]
    schema = {"type": "object", "oneOf": kinds}
    tree: dict[str, object] = {"kind": "row"}
    for _ in range(4):
        tree = {"kind": "row", "child": tree}
    assert errors(schema, tree) == []
    [(path, words)] = errors(schema, nested(31, "child"))
    assert path == ()
    assert "levels deep at the most" in words


def test_of_very_many_errors_some_are_told_and_not_all_are_made(monkeypatch):
    schema = {"properties": {"a": {"items": {"allOf": [{"type": "string"}] * 3}}}}
    assert len(errors(schema, {"a": [1] * 100})) == 50
    monkeypatch.setattr(schemas, "_MAX_LISTED", 100)
    assert errors(schema, {"a": [1] * 100}) == [(("a", 0), '1 is not of type "string"')]


def test_a_message_that_quotes_all_of_the_props_is_cut_in_its_middle():
    [(_, words)] = errors({"oneOf": [{"required": ["x"]}, {"required": ["y"]}]}, {"a": "x" * 5000})
    assert len(words) < 600
    assert words.startswith('{"a":"xxx')
    assert words.endswith("'oneOf' keyword")
