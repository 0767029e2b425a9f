// What GPT-2 and Llama share, as in step 12 and Engine 04: one token goes in, the blocks add to the
// residual stream, and the logits of the next token come out. The keys and values of earlier tokens
// stay in a cache. On its way a model keeps what the pages show.
"use strict";

class LiveModel {
    // `config` has GPT-2's names, and n_group: how many groups of keys and values the heads share.
    // `weights` has a Float32Array for each name of the checkpoint. Matrices are rows of [out, in],
    // so that each number of a result is one dot product.
    constructor(config, weights) {
        this.config = config;
        this.weights = weights;
        this.start();
    }

    // Forget the text. `off` names parts that are switched off: "3" (a block), "3.attn", "3.mlp",
    // and "3.0" (a head).
    start(off = []) {
        const { n_layer, n_positions, n_embd, n_head, n_group } = this.config;
        const size = (n_positions * n_embd * n_group) / n_head;
        this.off = new Set(off);
        this.length = 0;
        this.trace = []; // by position, see step()
        this.cache = Array.from({ length: n_layer }, () => ({
            key: new Float32Array(size),
            value: new Float32Array(size),
        }));
    }

    // Forget all tokens after the first `length`; the cache is overwritten as new ones come.
    cut(length) {
        this.length = this.trace.length = Math.min(length, this.length);
    }

    isOff(layer, part) {
        return this.off.has(`${layer}`) || this.off.has(`${layer}.${part}`);
    }

    // Read one more token, at a position of its own. Returns the vector after the last block. [C]
    step(id, place = this.length) {
        const x = this.embed(id, place);
        const seen = { id, start: x.slice(), blocks: [] };
        this.trace.push(seen);
        this.length += 1;
        for (let layer = 0; layer < this.config.n_layer; layer += 1) {
            seen.blocks.push(this.block(layer, x, place));
        }
        return x;
    }

    // Add to x what attention and the MLP of a block find, and return what they were.
    block(layer, x, place) {
        const { attn, merged, shares } = this.attention(layer, x, place);
        if (this.isOff(layer, "attn")) attn.fill(0);
        attn.forEach((value, i) => (x[i] += value));
        const mlp = this.mlp(layer, x);
        if (this.isOff(layer, "mlp")) mlp.fill(0);
        mlp.forEach((value, i) => (x[i] += value));
        return { shares, merged, attn, mlp, end: x.slice() };
    }

    // What the heads of a block find for the newest token, side by side, and what each looks at.
    // [C], [GD], [GD] -> [C]
    heads(layer, query, newKey, newValue) {
        const { n_head, n_embd, n_group } = this.config;
        const { key, value } = this.cache[layer];
        const [position, width, row] = [this.length - 1, n_embd / n_head, newKey.length];
        key.set(newKey, position * row);
        value.set(newValue, position * row);
        const merged = new Float64Array(n_embd);
        const shares = [];
        for (const [head, scores] of this.scores(layer, position, query).entries()) {
            const group = Math.floor((head * n_group) / n_head);
            const share = LiveModel.softmax(scores);
            shares.push(Float32Array.from(share));
            if (this.off.has(`${layer}.${head}`)) continue; // it adds nothing
            for (let j = 0; j < this.length; j += 1) {
                for (let i = 0; i < width; i += 1) {
                    merged[head * width + i] += share[j] * value[j * row + group * width + i];
                }
            }
        }
        return { merged, shares };
    }

    // How well the query of a token fits its own key and those before it, by head.
    scores(layer, position, query) {
        const { n_head, n_embd, n_group } = this.config;
        const { key } = this.cache[layer];
        const width = n_embd / n_head;
        return Array.from({ length: n_head }, (_, head) => {
            const group = Math.floor((head * n_group) / n_head);
            const scores = new Float64Array(position + 1); // only the keys so far: the causal mask
            for (let j = 0; j <= position; j += 1) {
                const from = (j * n_group + group) * width;
                let score = 0;
                for (let i = 0; i < width; i += 1) score += query[head * width + i] * key[from + i];
                scores[j] = score / Math.sqrt(width);
            }
            return scores;
        });
    }

    // The logits of the next token after a vector of the residual stream: the final norm, and a
    // dot product with the embedding of each token. [C] -> [V]
    logits(x) {
        return LiveModel.rows(this.wte, this.lastNorm(x), this.config.vocab_size);
    }

    // The vector of a token in a table. [C]
    row(table, id) {
        const { n_embd } = this.config;
        return Float64Array.from(table.subarray(id * n_embd, (id + 1) * n_embd));
    }

    linear(name, x) {
        const weight = this.weights[`${name}.weight`];
        const bias = this.weights[`${name}.bias`]; // which a Llama doesn't have
        const y = LiveModel.rows(weight, x, weight.length / x.length);
        bias?.forEach((value, i) => (y[i] += value));
        return y;
    }

    static softmax(scores) {
        let [most, sum] = [-Infinity, 0];
        for (const score of scores) most = Math.max(most, score);
        const shares = scores.map((score) => Math.exp(score - most));
        for (const share of shares) sum += share;
        return shares.map((share) => share / sum);
    }

    // The dot product of x with each of the first `count` rows. This is where all the time goes:
    // with four rows at a time, each number of x is read once for four products.
    static rows(matrix, x, count) {
        const width = x.length;
        const y = new Float64Array(count);
        for (let row = 0; row < count; row += 4) {
            const [first, second, third] = [row * width, (row + 1) * width, (row + 2) * width];
            const fourth = third + width;
            let a = 0;
            let b = 0;
            let c = 0;
            let d = 0;
            for (let i = 0; i < width; i += 1) {
                const value = x[i];
                a += value * matrix[first + i];
                b += value * matrix[second + i];
                c += value * matrix[third + i];
                d += value * matrix[fourth + i];
            }
            y[row] = a;
            y[row + 1] = b;
            y[row + 2] = c;
            y[row + 3] = d;
        }
        return y;
    }
}
