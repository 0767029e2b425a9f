"""Let a book that is going to be published know its repository and its own address.

python3 -m tools.book.name_repository REPOSITORY SITE [BOOK]

REPOSITORY and SITE are addresses. The workflow that publishes the book runs this in its own
checkout; the files as they are committed speak to somebody who has a clone.
"""

import re
import sys
from pathlib import Path

BOOK = Path(__file__).parents[2] / "book"

# Who runs notebooks that lie in a repository on GitHub; other servers have nobody who does.
GITHUB = "https://github.com/"
HOSTED = "https://colab.research.google.com/github/"


def name(repository: str, site: str, book: Path = BOOK) -> None:
    folder = repository.rpartition("/")[2]
    clone = f"```sh\ngit clone {repository} && cd {folder}\n```\n"
    (book / "repository" / "clone.md").write_text(clone, encoding="utf-8")
    (book / "repository" / "source.md").write_text(f"[Source]({repository})\n", encoding="utf-8")
    if repository.startswith(GITHUB):
        hosted = f"{HOSTED}{repository.removeprefix(GITHUB)}/blob/main/book/notebooks"
        for file in (book / "facts").glob("*.md"):
            link = f" Or open it [in Colab]({hosted}/{file.stem}.ipynb)."
            text = file.read_text(encoding="utf-8")
            text = re.sub(r"(?<=\n)- \*\*Notebook:.*", rf"\g<0>{link}", text)
            file.write_text(text, encoding="utf-8")
    head = book / "theme" / "head.hbs"
    text = head.read_text(encoding="utf-8")
    whole = text.replace("{{ path_to_root }}", f"{site.rstrip('/')}/")
    head.write_text(whole, encoding="utf-8")


if __name__ == "__main__":
    repository, site, *book = sys.argv[1:]
    name(repository, site, *map(Path, book))
