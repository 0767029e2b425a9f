"""MathML as text: x₁ + x₂ ≤ √(n / 2)."""

from collections.abc import Callable
from xml.etree import ElementTree as ET

RAISED = str.maketrans("0123456789+−-=()aehijklmnoprstuvxT⊤", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵉʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛˣᵀᵀ")
LOWERED = str.maketrans("0123456789+−-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
BETWEEN = "=+−-≤≥<>≠≈∈→←↦×·⋅⊙∘,;"  # what stands with a space on each side, or after it
SIGNS, OPENING, SUMS = "+−-", "([{|‖⌊⌈", "∑∏∫"
CLOSING = ")]}⌋⌉|‖,.;"
GAP = "\ue000"  # between two equations in a line


def text_of(element: ET.Element) -> str:
    """An equation, a line for each of its rows."""
    lines = (" ".join(line.split()) for line in written(element).splitlines())
    return "\n".join(line.replace(GAP, "   ").strip() for line in lines)


def written(element: ET.Element) -> str:
    """The text of one element of MathML."""
    parts, kind = [written(child) for child in element], local(element)
    if kind in FORMS:
        return FORMS[kind](*parts)
    if kind == "mspace":
        return GAP if float((element.get("width") or "0").removesuffix("em")) >= 1 else " "
    return joined(element, parts) if parts else element.text or ""


def joined(element: ET.Element, parts: list[str]) -> str:
    """What stands side by side, with room around what relates two things."""
    text, after_sum = "", False
    for child, part in zip(element, parts, strict=True):
        before = text.rstrip()
        if local(child) == "mo" and part and part in BETWEEN:
            is_sign = part in SIGNS and (not before or before[-1] in OPENING + BETWEEN)
            text = f"{text}{part}" if is_sign else f"{before} {part} ".replace(" ,", ",")
        elif local(child) == "mfrac" and is_product(text, follows(element, child)):
            text += f"({part})"
        elif needs_room(text, part, local(child)) or (after_sum and part.strip()):
            text += f" {part}"
        else:
            text += part
        after_sum = part[:1] in SUMS if part else after_sum
    return text


def needs_room(text: str, part: str, kind: str) -> bool:
    """Whether two things would be read as one, or a sum as part of what is before it."""
    if text[-1:].isspace() or not text:
        return False
    is_word = kind in ("mi", "mtext") and len(part) > 1 and text[-1].isalnum()
    return is_word or (part[:1] in SUMS and text[-1] not in OPENING)


def is_product(before: str, after: str) -> bool:
    """Whether a fraction between these two is multiplied with one of them."""
    before, after = before.strip(" "), after.strip(" ")
    return (bool(before) and before[-1] not in OPENING + BETWEEN + GAP) or (
        bool(after) and after[0] not in CLOSING + BETWEEN + GAP
    )


def follows(element: ET.Element, child: ET.Element) -> str:
    """The text right after a child."""
    later = list(element)[list(element).index(child) + 1 :]
    return "".join(map(written, later))


def local(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def grouped(text: str) -> str:
    """The text, in brackets if it has parts."""
    text = text.strip()
    return f"({text})" if " " in text else text


def script(text: str, letters: dict[int, int], mark: str) -> str:
    """What is raised or lowered, in letters of this kind if they are all there."""
    bare = text.strip().replace(" ", "")
    if bare == "′":
        return bare
    is_word = len(bare) > 2 and bare.isalpha()
    if all(ord(letter) in letters for letter in bare) and not is_word:
        return bare.translate(letters)
    plain = len(bare) == 1 or bare.isalpha() or bare[0] + bare[-1] == "()"
    return mark + (bare if plain else f"({text.strip()})")


def row(value: str, *when: str) -> str:
    """A row of a table; a second cell says for what the first one holds."""
    cells = (part.strip() for part in when)
    return " ".join(
        [
            value.strip(),
            *(cell if cell.startswith(("if ", "otherwise")) else f"for {cell}" for cell in cells),
        ]
    )


def lowered(text: str) -> str:
    """Text below the line."""
    return script(text, LOWERED, "_")


def raised(text: str) -> str:
    """Text above the line."""
    return script(text, RAISED, "^")


FORMS: dict[str, Callable[..., str]] = {
    "mfrac": lambda above, below: f"{grouped(above)} / {grouped(below)}",
    "msqrt": lambda *parts: f"√{grouped(''.join(parts))}",
    "msub": lambda base, low: base + lowered(low),
    "msup": lambda base, high: base + raised(high),
    "msubsup": lambda base, low, high: base + lowered(low) + raised(high),
    "munder": lambda base, low: f"{base}[{low.strip()}] ",
    "munderover": lambda base, low, high: f"{base}[{low.strip()} … {high.strip()}] ",
    "mtable": lambda *rows: "; ".join(rows),
    "mtr": row,
}
