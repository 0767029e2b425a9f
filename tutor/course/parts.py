"""The twelve steps as parts of the model, each with what is built into it."""

# As in the picture of the introduction.
PARTS: dict[int, tuple[int, ...]] = {12: (10,), 10: (9,), 9: (5, 6, 8), 8: (3, 7, 4), 7: (2,)}
OUTERMOST = (12, 1, 11)
SHORT = (
    *("Sizes", "Mask", "Norm", "MLP", "Tokens", "Positions"),
    *("Attention", "Block", "Model", "Head", "Weights", "Writing"),
)
