"""Take the solutions out of the index that the search of a built book reads.

python3 -m tools.book.clear_index SITE

mdBook can leave a whole page out of its index, but no section of one. Only the standard library is
used, since the site is built where nothing else is installed.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

QUOTED = re.compile(r"(?<=JSON\.parse\(').*(?='\))", re.DOTALL)
SOLUTION = "#the-solution"  # where the address of such a section ends


def clear(site: Path) -> None:
    """Rewrite the index in the folder of a site."""
    for file in site.glob("searchindex*.js"):
        text = file.read_text(encoding="utf-8")
        quoted = QUOTED.search(text)
        if quoted is None:
            raise SystemExit(f"{file} is no index of mdBook")
        content = json.loads(re.sub(r"\\([\\'])", r"\1", quoted[0]))
        urls = enumerate(content["doc_urls"])
        forget(content["index"], {str(ref) for ref, url in urls if url.endswith(SOLUTION)})
        found = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        found = found.replace("\\", "\\\\").replace("'", "\\'")
        file.write_text(text[: quoted.start()] + found + text[quoted.end() :], encoding="utf-8")


def forget(index: dict[str, Any], gone: set[str]) -> None:
    """Take documents out of an index of elasticlunr: their texts, and the words in them."""
    store = index["documentStore"]
    for part in ("docs", "docInfo"):
        store[part] = {ref: found for ref, found in store[part].items() if ref not in gone}
    store["length"] = len(store["docs"])
    for words in index["index"].values():
        words["root"] = without(words["root"], gone) or {"df": 0, "docs": {}}


def without(node: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """A node of the tree of letters without these documents; empty if it leads to no other."""
    docs = {ref: found for ref, found in node["docs"].items() if ref not in gone}
    below = {
        letter: left
        for letter, child in node.items()
        if letter not in ("df", "docs") and (left := without(child, gone))
    }
    return {"df": len(docs), "docs": docs} | below if docs or below else {}


if __name__ == "__main__":
    clear(Path(sys.argv[1]))
