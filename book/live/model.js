// GPT-2, as in steps 02 to 10, with the cache of Engine 04: one token goes in, and the logits of
// the next come out. On its way it keeps what the pages show.
"use strict";

class LiveModel {
    // `weights` has a Float32Array for each name of the checkpoint. Matrices are rows of [out, in],
    // so that each number of a result is one dot product.
    constructor(config, weights) {
        this.config = config;
        this.weights = weights;
        this.wte = weights["transformer.wte.weight"];
        this.start();
    }

    // Forget the text. `off` names parts that are switched off: "3" (a block), "3.attn", "3.mlp",
    // and "3.0" (a head).
    start(off = []) {
        const { n_layer, n_positions, n_embd } = this.config;
        this.off = new Set(off);
        this.length = 0;
        this.trace = []; // by position, see step()
        this.cache = Array.from({ length: n_layer }, () => ({
            key: new Float32Array(n_positions * n_embd),
            value: new Float32Array(n_positions * n_embd),
        }));
    }

    // Forget all tokens after the first `length`; the cache is overwritten as new ones come.
    cut(length) {
        this.length = this.trace.length = Math.min(length, this.length);
    }

    // Read one more token, at a position of its own. Returns the vector after the last block. [C]
    step(id, place = this.length) {
        const { n_layer, n_embd } = this.config;
        const wpe = this.weights["transformer.wpe.weight"];
        const x = new Float64Array(n_embd);
        for (let i = 0; i < n_embd; i += 1) {
            x[i] = this.wte[id * n_embd + i] + wpe[place * n_embd + i];
        }
        const seen = { id, start: x.slice(), blocks: [] };
        this.trace.push(seen);
        this.length += 1;
        for (let layer = 0; layer < n_layer; layer += 1) {
            seen.blocks.push(this.block(layer, x));
        }
        return x;
    }

    // Add to x what attention and the MLP of a block find, and return what they were.
    block(layer, x) {
        const name = `transformer.h.${layer}`;
        const isOff = (part) => this.off.has(`${layer}`) || this.off.has(`${layer}.${part}`);
        const ln_1 = this.norm(`${name}.ln_1`, x);
        const { merged, shares } = this.heads(layer, this.linear(`${name}.attn.c_attn`, ln_1));
        const attn = this.linear(`${name}.attn.c_proj`, merged);
        if (isOff("attn")) attn.fill(0);
        attn.forEach((value, i) => (x[i] += value));
        const ln_2 = this.norm(`${name}.ln_2`, x);
        const gelu = LiveModel.gelu(this.linear(`${name}.mlp.c_fc`, ln_2));
        const mlp = this.linear(`${name}.mlp.c_proj`, gelu);
        if (isOff("mlp")) mlp.fill(0);
        mlp.forEach((value, i) => (x[i] += value));
        return { shares, merged, attn, mlp, end: x.slice() };
    }

    // What the heads of a block find for the newest token, side by side. [3C] -> [C]
    heads(layer, queryKeyValue) {
        const { n_head, n_embd } = this.config;
        const { key, value } = this.cache[layer];
        const position = this.length - 1;
        const width = n_embd / n_head;
        key.set(queryKeyValue.subarray(n_embd, 2 * n_embd), position * n_embd);
        value.set(queryKeyValue.subarray(2 * n_embd), position * n_embd);
        const merged = new Float64Array(n_embd);
        const shares = [];
        for (const [head, scores] of this.scores(layer, position, queryKeyValue).entries()) {
            const from = head * width;
            const share = LiveModel.softmax(scores);
            shares.push(Float32Array.from(share));
            if (this.off.has(`${layer}.${head}`)) continue; // it adds nothing
            for (let j = 0; j < this.length; j += 1) {
                for (let i = from; i < from + width; i += 1) {
                    merged[i] += share[j] * value[j * n_embd + i];
                }
            }
        }
        return { merged, shares };
    }

    // The logits of the next token after a vector of the residual stream: the final norm, and a
    // dot product with the embedding of each token. [C] -> [V]
    logits(x) {
        const normed = this.norm("transformer.ln_f", x);
        return LiveModel.rows(this.wte, normed, this.config.vocab_size);
    }

    linear(name, x) {
        const bias = this.weights[`${name}.bias`];
        const y = LiveModel.rows(this.weights[`${name}.weight`], x, bias.length);
        for (let i = 0; i < y.length; i += 1) y[i] += bias[i];
        return y;
    }

    norm(name, x) {
        const [weight, bias] = ["weight", "bias"].map((part) => this.weights[`${name}.${part}`]);
        const { mean, deviation } = LiveModel.spread(x, this.config.layer_norm_epsilon);
        return x.map((value, i) => (weight[i] * (value - mean)) / deviation + bias[i]);
    }

    // The numbers of a token on its way through a block, and before and after all of them, by the
    // names of the boxes in boxes.js.
    inside(position, layer) {
        const name = `transformer.h.${layer}`;
        const { id, start, blocks } = this.trace[position];
        const { shares, attn, mlp, end } = blocks[layer];
        const row = (table, i) =>
            this.weights[table].subarray(i * start.length, (i + 1) * start.length);
        const x = layer ? blocks[layer - 1].end : start;
        const ln_1 = this.norm(`${name}.ln_1`, x);
        const c_attn = this.linear(`${name}.attn.c_attn`, ln_1);
        const attn_sum = x.map((value, i) => value + attn[i]);
        const ln_2 = this.norm(`${name}.ln_2`, attn_sum);
        const c_fc = this.linear(`${name}.mlp.c_fc`, ln_2);
        return {
            ...{ x, ln_1, c_attn, attn, attn_sum, ln_2, c_fc, mlp, end },
            ids: [id],
            wte: row("transformer.wte.weight", id),
            wpe: row("transformer.wpe.weight", position),
            start,
            scores: this.scores(layer, position, c_attn).flatMap((scores) => [...scores]),
            shares: shares.flatMap((share) => [...share]),
            gelu: LiveModel.gelu(c_fc),
            ln_f: this.norm("transformer.ln_f", blocks.at(-1).end),
        };
    }

    // How well the query of a token fits its own key and those before it, by head.
    scores(layer, position, query) {
        const { n_head, n_embd } = this.config;
        const { key } = this.cache[layer];
        const width = n_embd / n_head;
        return Array.from({ length: n_head }, (_, head) => {
            const scores = new Float64Array(position + 1); // only the keys so far: the causal mask
            for (let j = 0; j <= position; j += 1) {
                let score = 0;
                for (let i = head * width; i < (head + 1) * width; i += 1) {
                    score += query[i] * key[j * n_embd + i];
                }
                scores[j] = score / Math.sqrt(width);
            }
            return scores;
        });
    }

    static gelu(x) {
        const scale = Math.sqrt(2 / Math.PI);
        return x.map(
            (value) => 0.5 * value * (1 + Math.tanh(scale * (value + 0.044715 * value ** 3))),
        );
    }

    // How far each part moves the logit of token `id` after a position: the embeddings, each head,
    // each block's bias of c_proj, each MLP. The final norm's scale is that of the whole stream, so
    // the parts and the rest add up to the logit.
    shareOut(position, id) {
        const { n_layer, n_head, n_embd, layer_norm_epsilon } = this.config;
        const { start, blocks } = this.trace[position];
        const weight = this.weights["transformer.ln_f.weight"];
        const bias = this.weights["transformer.ln_f.bias"];
        const { deviation } = LiveModel.spread(blocks.at(-1).end, layer_norm_epsilon);
        const token = this.wte.subarray(id * n_embd, (id + 1) * n_embd);
        const moves = (part) => {
            const { mean } = LiveModel.spread(part, 0);
            return part.reduce(
                (sum, value, i) => sum + ((value - mean) / deviation) * weight[i] * token[i],
                0,
            );
        };
        const width = n_embd / n_head;
        const heads = [];
        let rest = bias.reduce((sum, value, i) => sum + value * token[i], 0);
        for (let layer = 0; layer < n_layer; layer += 1) {
            const { merged, attn } = blocks[layer];
            const isOff = this.off.has(`${layer}`) || this.off.has(`${layer}.attn`);
            const proj = this.weights[`transformer.h.${layer}.attn.c_proj.weight`];
            heads.push(
                Array.from({ length: n_head }, (_, head) => {
                    const only = merged.map((value, i) =>
                        Math.floor(i / width) === head && !isOff ? value : 0,
                    );
                    return moves(LiveModel.rows(proj, only, n_embd));
                }),
            );
            rest += moves(attn) - heads[layer].reduce((sum, value) => sum + value, 0);
        }
        return { start: moves(start), heads, mlps: blocks.map(({ mlp }) => moves(mlp)), rest };
    }

    static spread(x, epsilon) {
        let [mean, variance] = [0, 0];
        for (const value of x) mean += value / x.length;
        for (const value of x) variance += (value - mean) ** 2 / x.length;
        return { mean, deviation: Math.sqrt(variance + epsilon) };
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
