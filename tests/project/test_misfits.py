"""What is said of shapes that do not fit together: only what is true of them."""

import pytest

from tutor.check.misfits import product, reshaped, unlike

END = "or one of them 1."
AS = "; as {} the shorter one would fit, and unsqueeze adds an axis."


@pytest.mark.parametrize(
    ("one", "other", "end"),
    [
        ("2 5 28", "2 5", AS.format("[2, 5, 1]")),
        ("4 5 5", "4 2 3 5 5", AS.format("[4, 1, 1, 5, 5]")),
        ("B 3 T", "B T", AS.format("[B, 1, T]")),
        ("7 5 5", "5 7", END),  # nowhere
        ("5 5 5", "4 5", END),
        ("2 5 5", "5 2", END),  # the longer one would have to spread
        ("2 6 5 4", "2 5 4 2", END),
    ],
)
def test_a_missing_axis_is_named_where_only_one_place_will_do(
    one: str, other: str, end: str
) -> None:
    (said,) = unlike(one.split(), other.split())
    assert said.endswith(end)


@pytest.mark.parametrize(
    ("left", "right", "parts"),
    [
        ("2 5 1", "4", ["In [2, 5, 1] @ [4] the last", "with *"]),
        ("2 5 7", "3 4", ["[…, 5, 7] @ […, 3, 4]"]),
        ("2 5 7", "3 7", ["transposed, the right one would fit."]),
        ("5 7", "5 7", ["transposed, the right one would fit", "with *"]),
        ("4 6 5 9", "4 2 9 5", ["the axes before the last two have to be the same, or 1."]),
        ("4 2 3 5 9", "4 2 9 5", ["as [4, 2, 1, 9, 5] the shorter one would fit"]),
        ("4 6 5 9", "4 1 9 5", []),  # it fits
    ],
)
def test_a_product_says_which_sizes_have_to_agree(left: str, right: str, parts: list[str]) -> None:
    said = " ".join(product(left.split(), right.split()))
    assert all(part in said for part in parts)
    assert bool(said) == bool(parts)
    assert ("with *" in said) == ("with *" in parts)


def test_a_reshape_counts_numbers_as_far_as_they_are_known() -> None:
    (said,) = reshaped(["B", "T", "84"], ["B", "T", "6", "13"])
    assert "[B, T, 84] has 84 of them for each of B × T, [B, T, 6, 13] has room for 78." in said
    assert not [*reshaped(["B", "T", "84"], ["B", "6", "14"])]
