"""How a file of Python was saved, and its text in UTF-8, which all that reads it expects."""

import codecs
import io
import re
import tokenize

MARKS = {  # the longer ones first, since one of them begins like a shorter one
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
FOREIGN = {  # how what is no Python begins, without space and in small letters
    b"{\\rtf": "is a text with formats (RTF); save it as plain text",
    b"<!doctypehtml": "is a page of the web; download the file itself",
    b"<html": "is a page of the web; download the file itself",
    b"%pdf": "is a PDF; ask for the text",
    b"pk\3\4": "is a zip archive; name it so, or unpack it",
    b"versionhttps://git-lfs": "only points to a file in Git LFS; ask for the file itself",
    b'{"cells"': "is a notebook; export it as Python",
}
DECLARED = re.compile(rb"\A((?:.*\n)?[ \t\f]*#.*?coding[:=][ \t]*)[-\w.]+")  # as in PEP 263


def as_utf8(content: bytes) -> tuple[bytes, str]:
    """The same text in UTF-8, and what there is to be said of how it was saved, if anything.

    What Python reads, by its mark or by what is declared, is taken as it reads it; UTF-16 and
    UTF-32, which it does not read, by their marks. Anything else stays as it is.
    """
    first = b"".join(content[:200].split()).lower()
    if foreign := next((FOREIGN[each] for each in FOREIGN if first.startswith(each)), ""):
        return content, foreign
    encoding = next((MARKS[mark] for mark in MARKS if content.startswith(mark)), "")
    if not encoding and b"\0" in content[:2]:  # a sign of ASCII has a zero beside it in UTF-16
        encoding = "UTF-16-BE" if content.startswith(b"\0") else "UTF-16-LE"
    try:
        if encoding:
            return content.decode(encoding).encode(), f"was saved as {encoding}, and read as that"
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding).encode()
        if b"\0" in text:
            return content, "holds zeros, as no text does; save it anew, as UTF-8"
    except (SyntaxError, LookupError, ValueError):
        return content, "is not in the encoding that it declares, or in UTF-8; save it as UTF-8"
    if encoding.startswith("utf-8"):
        return text, ""
    return DECLARED.sub(rb"\1utf-8", text), ""
