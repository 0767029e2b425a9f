"""Derive the JSON Schema of a grade's file from the classes that it is made of.

python -m tools.course.make_schema            write it
python -m tools.course.make_schema --check    only tell whether it has changed; if so, exit with 1
"""

from tools import derived
from tutor import ROOT
from tutor.grade import grades

DIALECT = "https://json-schema.org/draft/2020-12/schema"  # what msgspec writes


def main() -> None:
    schema = grades.as_json({"$schema": DIALECT} | grades.schema()).decode()
    files = [(ROOT / "examples" / "grade.schema.json", schema)]
    derived.update("Derive the JSON Schema of a grade's file.", files)


if __name__ == "__main__":
    main()
