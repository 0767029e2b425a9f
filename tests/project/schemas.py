"""The documented forms of what services read, as JSON Schemas of our own."""

from typing import Any


def closed(**properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
SEEN = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
RENDERED = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
STATUS = {"enum": ["pass", "fail", "error"]}
SHORT = {"type": "string", "maxLength": 65_535}
GRADESCOPE = closed(
    score=COUNT,
    execution_time=COUNT,
    output=TEXT,
    output_format=RENDERED,
    visibility=SEEN,
    stdout_visibility=SEEN,
    extra_data={"type": "object"},
    tests={
        "type": "array",
        "items": closed(
            name=TEXT,
            number={"type": "string", "pattern": r"^[a-z]?\d+\.\d+$"},
            score=COUNT,
            max_score=COUNT,
            status={"enum": ["passed", "failed"]},
            output=TEXT,
            output_format=RENDERED,
            visibility=SEEN,
            tags={"type": "array", "items": TEXT},
            extra_data={"type": "object"},
        ),
    },
)
CLASSROOM = closed(
    version={"const": 1},
    status=STATUS,
    max_score=COUNT,
    tests={
        "type": "array",
        "minItems": 1,
        "items": closed(
            name=TEXT,
            status=STATUS,
            score=COUNT,
            message=TEXT,
            test_code=TEXT,
            filename=TEXT,
            line_no=COUNT,
            duration=COUNT,
        ),
    },
)
EXERCISM_TEST = closed(
    name=TEXT,
    status=STATUS,
    message={"anyOf": [{"type": "null"}, SHORT]},
    output={"type": "string", "maxLength": 500},
    test_code=TEXT,
    task_id=COUNT,
)
EXERCISM_TESTS = {"type": "array", "items": EXERCISM_TEST}
EXERCISM = {
    "oneOf": [
        closed(
            version={"const": 3}, status={"const": "error"}, message=SHORT, tests=EXERCISM_TESTS
        ),
        closed(version={"const": 3}, status={"enum": ["pass", "fail"]}, tests=EXERCISM_TESTS),
    ]
}
SCHEMAS = {"gradescope": GRADESCOPE, "classroom": CLASSROOM, "exercism": EXERCISM}
