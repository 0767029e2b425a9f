"""The twelve reference modules of the course, from a configuration to generated text, and more.

One legend of shape letters serves all of them:

    B  batch       T  sequence length    C  n_embd        H  n_head
    D  C / H       V  vocab_size         L  n_inner, the width inside the MLP

The modern track has them, too: C is hidden_size there, D head_dim, and L intermediate_size. It adds

    G  groups of keys and values      S  all columns so far, T of them new
    E  experts                        K  those that a token uses
"""

from tutor import runtime

runtime.activate()
