// GPT-2, as in steps 03 to 10, with what the pages show of its inside.
"use strict";

class LiveGPT2 extends LiveModel {
    constructor(config, weights) {
        super({ ...config, n_group: config.n_head }, weights);
    }

    get wte() {
        return this.weights["transformer.wte.weight"];
    }

    embed(id, place) {
        const wpe = this.row(this.weights["transformer.wpe.weight"], place);
        return this.row(this.wte, id).map((value, i) => value + wpe[i]);
    }

    attention(layer, x) {
        const name = `transformer.h.${layer}`;
        const { n_embd } = this.config;
        const c_attn = this.linear(`${name}.attn.c_attn`, this.norm(`${name}.ln_1`, x)); // [3C]
        const [query, key, value] = [0, 1, 2].map((part) =>
            c_attn.subarray(part * n_embd, (part + 1) * n_embd),
        );
        const found = this.heads(layer, query, key, value);
        return { ...found, attn: this.linear(`${name}.attn.c_proj`, found.merged) };
    }

    mlp(layer, x) {
        const name = `transformer.h.${layer}`;
        const c_fc = this.linear(`${name}.mlp.c_fc`, this.norm(`${name}.ln_2`, x)); // [L]
        return this.linear(`${name}.mlp.c_proj`, LiveGPT2.gelu(c_fc));
    }

    lastNorm(x) {
        return this.norm("transformer.ln_f", x);
    }

    norm(name, x) {
        const [weight, bias] = ["weight", "bias"].map((part) => this.weights[`${name}.${part}`]);
        const { mean, deviation } = LiveGPT2.spread(x, this.config.layer_norm_epsilon);
        return x.map((value, i) => (weight[i] * (value - mean)) / deviation + bias[i]);
    }

    // The numbers of a token on its way through a block, and before and after all of them, by the
    // names of the boxes in boxes.js.
    inside(position, layer) {
        const name = `transformer.h.${layer}`;
        const { id, start, blocks } = this.trace[position];
        const { shares, attn, mlp, end } = blocks[layer];
        const x = layer ? blocks[layer - 1].end : start;
        const ln_1 = this.norm(`${name}.ln_1`, x);
        const c_attn = this.linear(`${name}.attn.c_attn`, ln_1);
        const attn_sum = x.map((value, i) => value + attn[i]);
        const ln_2 = this.norm(`${name}.ln_2`, attn_sum);
        const c_fc = this.linear(`${name}.mlp.c_fc`, ln_2);
        return {
            ...{ x, ln_1, c_attn, attn, attn_sum, ln_2, c_fc, mlp, end },
            ids: [id],
            wte: this.row(this.wte, id),
            wpe: this.row(this.weights["transformer.wpe.weight"], position),
            start,
            scores: this.scores(layer, position, c_attn).flatMap((scores) => [...scores]),
            shares: shares.flatMap((share) => [...share]),
            gelu: LiveGPT2.gelu(c_fc),
            ln_f: this.lastNorm(blocks.at(-1).end),
        };
    }

    // How far each part moves the logit of token `id` after a position: the embeddings, each head,
    // each block's bias of c_proj, each MLP. The final norm's scale is that of the whole stream, so
    // the parts and the rest add up to the logit.
    shareOut(position, id) {
        const { n_layer, n_head, n_embd, layer_norm_epsilon } = this.config;
        const { start, blocks } = this.trace[position];
        const weight = this.weights["transformer.ln_f.weight"];
        const bias = this.weights["transformer.ln_f.bias"];
        const { deviation } = LiveGPT2.spread(blocks.at(-1).end, layer_norm_epsilon);
        const token = this.wte.subarray(id * n_embd, (id + 1) * n_embd);
        const moves = (part) => {
            const { mean } = LiveGPT2.spread(part, 0);
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
            const isOff = this.isOff(layer, "attn");
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

    static gelu(x) {
        const scale = Math.sqrt(2 / Math.PI);
        return x.map(
            (value) => 0.5 * value * (1 + Math.tanh(scale * (value + 0.044715 * value ** 3))),
        );
    }

    static spread(x, epsilon) {
        let [mean, variance] = [0, 0];
        for (const value of x) mean += value / x.length;
        for (const value of x) variance += (value - mean) ** 2 / x.length;
        return { mean, deviation: Math.sqrt(variance + epsilon) };
    }
}
