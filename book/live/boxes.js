// The boxes of the architecture map: what each does, its shapes and its parameters, at every size.
"use strict";

const courseBoxes = (() => {
    // V tokens in the vocabulary, P positions, C numbers in a vector, N blocks, H heads of D
    // numbers, G groups of keys and values, L numbers inside the MLP.
    const gpt2 = (name, N, C, H, [V, P] = [50257, 1024]) => ({
        ...{ name, family: "gpt2", V, P, C, N, H, G: H, D: C / H, L: 4 * C },
    });
    const SIZES = [
        gpt2("bundled GPT-2", 6, 192, 6, [4096, 256]),
        gpt2("GPT-2 small", 12, 768, 12),
        gpt2("GPT-2 medium", 24, 1024, 16),
        gpt2("GPT-2 large", 36, 1280, 20),
        gpt2("GPT-2 XL", 48, 1600, 25),
        { name: "small Llama", family: "llama", V: 4096, C: 192, N: 6, H: 6, G: 2, D: 32, L: 608 },
    ];
    const OF_ALL = { gpt2: "transformer", llama: "model" };
    const OF_BLOCKS = { gpt2: "h", llama: "layers" };

    const both = (name, ...shape) => ({ [`${name}.weight`]: shape, [`${name}.bias`]: [shape[0]] });
    const only = (name, ...shape) => ({ [`${name}.weight`]: shape });
    const SAME = "[B, T, C] → [B, T, C]";

    // For each box: what it does, its shapes, its equation in book/equations, its parameters.
    const once = {
        ids: {
            says: "The text, cut into tokens. Each token has an id, its number in the vocabulary.",
            shape: "text → [B, T]",
        },
        chances: {
            says: "Softmax turns the logits into probabilities, and one token is drawn.",
            shape: "[B, V] → a token",
            equation: "temperature",
        },
    };
    const attending = {
        scores: {
            says: "The dot product of each query with each key, and −∞ for keys that come later.",
            shape: "[B, H, T, D] → [B, H, T, T]",
            equation: "causal_mask",
        },
    };
    const gpt2Once = {
        ...once,
        wte: {
            says: "A table with a row for each token of the vocabulary: what the token is.",
            shape: "[B, T] → [B, T, C]",
            equation: "embedding",
            parameters: only("wte", "V", "C"),
        },
        wpe: {
            says: "A table with a row for each position: where the token is.",
            shape: "[T] → [T, C]",
            parameters: only("wpe", "P", "C"),
        },
        start: {
            says: "The two rows are added. The residual stream begins here.",
            shape: "[B, T, C] + [T, C] → [B, T, C]",
            equation: "position_sum",
        },
        ln_f: {
            says: "A last norm, so that the head reads vectors of one scale.",
            shape: SAME,
            equation: "layer_norm",
            parameters: both("ln_f", "C"),
        },
        logits: {
            says: "Scores every token of the vocabulary, with the rows of wte once more.",
            shape: "[B, T, C] → [B, T, V]",
            equation: "lm_head",
            tied: only("lm_head", "V", "C"),
        },
    };
    const gpt2Block = {
        ...attending,
        ln_1: {
            says: "Attention reads a normalized copy of the stream.",
            shape: SAME,
            equation: "layer_norm",
            parameters: both("ln_1", "C"),
        },
        c_attn: {
            says: "Turns each vector into a query, a key and a value, for all heads at once.",
            shape: "[B, T, C] → [B, T, 3C]",
            equation: "attention_heads",
            parameters: both("attn.c_attn", "3C", "C"),
        },
        shares: {
            says: "Softmax turns scores into weights; each head mixes the values by them.",
            shape: "[B, H, T, T] → [B, H, T, D]",
            equation: "attention",
        },
        attn: {
            says: "Brings the heads' results together, into a vector to be added.",
            shape: SAME,
            parameters: both("attn.c_proj", "C", "C"),
        },
        attn_sum: {
            says: "What attention found is added to the stream.",
            shape: SAME,
            equation: "block",
        },
        ln_2: {
            says: "The MLP, too, reads a normalized copy.",
            shape: SAME,
            equation: "layer_norm",
            parameters: both("ln_2", "C"),
        },
        c_fc: {
            says: "Widens each vector: each new number looks for a pattern.",
            shape: "[B, T, C] → [B, T, L]",
            equation: "mlp",
            parameters: both("mlp.c_fc", "L", "C"),
        },
        gelu: {
            says: "Lets large numbers pass, and brings those below 0 close to 0.",
            shape: "[B, T, L] → [B, T, L]",
            equation: "gelu",
        },
        mlp: {
            says: "Leads back to the width of the stream.",
            shape: "[B, T, L] → [B, T, C]",
            equation: "mlp",
            parameters: both("mlp.c_proj", "C", "L"),
        },
        end: {
            says: "What the MLP computed is added to the stream, which the next block reads.",
            shape: SAME,
            equation: "block",
        },
    };
    const llamaOnce = {
        ...once,
        wte: {
            says: "A table with a row for each token. There is no table of positions.",
            shape: "[B, T] → [B, T, C]",
            equation: "embedding",
            parameters: only("embed_tokens", "V", "C"),
        },
        ln_f: {
            says: "A last norm, so that the head reads vectors of one scale.",
            shape: SAME,
            equation: "root_mean_square",
            parameters: only("norm", "C"),
        },
        logits: {
            says: "Scores every token of the vocabulary. Here it has the rows of embed_tokens.",
            shape: "[B, T, C] → [B, T, V]",
            equation: "lm_head",
            tied: only("lm_head", "V", "C"),
        },
    };
    const llamaBlock = {
        ...attending,
        ln_1: {
            says: "Attention reads a copy of the stream, divided by its root mean square.",
            shape: SAME,
            equation: "root_mean_square",
            parameters: only("input_layernorm", "C"),
        },
        c_attn: {
            says: "Queries for all heads; keys and values only for the groups, which heads share.",
            shape: "[B, T, C] → [B, H, T, D], 2 [B, G, T, D]",
            parameters: {
                ...only("self_attn.q_proj", "HD", "C"),
                ...only("self_attn.k_proj", "GD", "C"),
                ...only("self_attn.v_proj", "GD", "C"),
            },
        },
        rotate: {
            says: "Turns queries and keys by their positions, so that scores depend on distances.",
            shape: "[B, H, T, D] → [B, H, T, D]",
            equation: "rotary_turn",
        },
        shares: {
            says: "Softmax turns scores into weights; each head mixes its group's values by them.",
            shape: "[B, H, T, T] → [B, H, T, D]",
            equation: "grouped_heads",
        },
        attn: {
            says: "Brings the heads' results together, into a vector to be added.",
            shape: "[B, T, HD] → [B, T, C]",
            parameters: only("self_attn.o_proj", "C", "HD"),
        },
        attn_sum: {
            says: "What attention found is added to the stream.",
            shape: SAME,
            equation: "llama_block",
        },
        ln_2: {
            says: "The MLP, too, reads a normalized copy.",
            shape: SAME,
            equation: "root_mean_square",
            parameters: only("post_attention_layernorm", "C"),
        },
        c_fc: {
            says: "Two layers widen each vector: one for patterns, one for the gate.",
            shape: "[B, T, C] → 2 [B, T, L]",
            equation: "gated_mlp",
            parameters: { ...only("mlp.gate_proj", "L", "C"), ...only("mlp.up_proj", "L", "C") },
        },
        gelu: {
            says: "SiLU bends the gate, which then multiplies the other half.",
            shape: "2 [B, T, L] → [B, T, L]",
            equation: "gated_mlp",
        },
        mlp: {
            says: "Leads back to the width of the stream.",
            shape: "[B, T, L] → [B, T, C]",
            equation: "gated_mlp",
            parameters: only("mlp.down_proj", "C", "L"),
        },
        end: {
            says: "What the MLP computed is added to the stream, which the next block reads.",
            shape: SAME,
            equation: "llama_block",
        },
    };
    const BOXES = {
        gpt2: { once: gpt2Once, block: gpt2Block },
        llama: { once: llamaOnce, block: llamaBlock },
    };

    // How much letters with a factor stand for: 3C, HD.
    function measure(letters, size) {
        const [, factor, names] = /^(\d*)([A-Z]+)$/.exec(letters);
        return [...names].reduce((product, name) => product * size[name], Number(factor || 1));
    }

    const shapeOf = (letters, size) => letters.map((each) => measure(each, size));
    const numbersIn = (letters, size) => shapeOf(letters, size).reduce((a, b) => a * b, 1);

    // A box at a size: what it is, its own parameters with their shapes, and how many numbers that
    // is in one block, or in all of the model if it isn't in a block.
    function find(size, name) {
        const { once, block } = BOXES[size.family];
        const isInBlock = name in block;
        const box = (isInBlock ? block : once)[name];
        const parameters = Object.entries(box.parameters ?? {});
        const count = parameters.reduce((sum, [, shape]) => sum + numbersIn(shape, size), 0);
        return { ...box, isInBlock, parameters, count, total: isInBlock ? count * size.N : count };
    }

    // Names and shapes of all parameters, as the checkpoint has them, and of the tied head.
    function parameters(size) {
        const { once, block } = BOXES[size.family];
        const [all, blocks] = [OF_ALL[size.family], OF_BLOCKS[size.family]];
        const found = {};
        for (const box of Object.values(once)) {
            for (const [name, shape] of Object.entries(box.parameters ?? {})) {
                found[`${all}.${name}`] = shapeOf(shape, size);
            }
            for (const [name, shape] of Object.entries(box.tied ?? {})) {
                found[name] = shapeOf(shape, size);
            }
        }
        for (const box of Object.values(block)) {
            for (const [name, shape] of Object.entries(box.parameters ?? {})) {
                for (let layer = 0; layer < size.N; layer += 1) {
                    found[`${all}.${blocks}.${layer}.${name}`] = shapeOf(shape, size);
                }
            }
        }
        return found;
    }

    // All numbers of a model, and those of a block.
    function count(size) {
        const totals = (boxes) =>
            Object.keys(boxes).reduce((sum, name) => sum + find(size, name).count, 0);
        const { once, block } = BOXES[size.family];
        return { all: totals(once) + size.N * totals(block), block: totals(block) };
    }

    // A box of a plan as a radio button, in place of its link; returns its label.
    function radio(link, name) {
        const label = document.createElement("label");
        const { box } = link.dataset;
        label.innerHTML = `<input type="radio" name="${name}" value="${box}">${link.innerHTML}`;
        label.dataset.chapter = link.getAttribute("href");
        label.className = "box";
        link.replaceWith(label);
        return label;
    }

    return { BOXES, OF_BLOCKS, SIZES, count, find, measure, parameters, radio };
})();
