// A Llama, as in modern 02 to 06 and 08.
"use strict";

class LiveLlama extends LiveModel {
    constructor(config, weights) {
        const sizes = {
            n_layer: config.num_hidden_layers,
            n_head: config.num_attention_heads,
            n_group: config.num_key_value_heads,
            n_embd: config.hidden_size,
            n_positions: config.max_position_embeddings,
        };
        super({ ...config, ...sizes }, weights);
    }

    get wte() {
        return this.weights["model.embed_tokens.weight"];
    }

    embed(id) {
        return this.row(this.wte, id);
    }

    attention(layer, x, place) {
        const name = `model.layers.${layer}`;
        const normed = this.norm(`${name}.input_layernorm`, x);
        const [query, key, value] = ["q", "k", "v"].map((part) =>
            this.linear(`${name}.self_attn.${part}_proj`, normed),
        );
        const found = this.heads(layer, this.rotate(query, place), this.rotate(key, place), value);
        return { ...found, attn: this.linear(`${name}.self_attn.o_proj`, found.merged) };
    }

    // Turn each pair of numbers of each head, the faster the earlier the pair, the further the
    // later the position.
    rotate(x, place) {
        const { n_embd, n_head, rope_parameters } = this.config;
        const width = n_embd / n_head;
        const half = width / 2;
        const turned = new Float64Array(x.length);
        for (let i = 0; i < x.length; i += 1) {
            const pair = i % half;
            const angle = place * rope_parameters.rope_theta ** (-pair / half);
            const isFirst = i % width < half;
            const other = isFirst ? -x[i + half] : x[i - half];
            turned[i] = x[i] * Math.cos(angle) + other * Math.sin(angle);
        }
        return turned;
    }

    mlp(layer, x) {
        const name = `model.layers.${layer}`;
        const normed = this.norm(`${name}.post_attention_layernorm`, x);
        const up = this.linear(`${name}.mlp.up_proj`, normed); // [L]
        const gated = this.linear(`${name}.mlp.gate_proj`, normed).map(
            (gate, i) => (gate / (1 + Math.exp(-gate))) * up[i],
        );
        return this.linear(`${name}.mlp.down_proj`, gated);
    }

    lastNorm(x) {
        return this.norm("model.norm", x);
    }

    norm(name, x) {
        const weight = this.weights[`${name}.weight`];
        const square = x.reduce((sum, value) => sum + value * value, 0) / x.length;
        const scale = 1 / Math.sqrt(square + this.config.rms_norm_eps);
        return x.map((value, i) => weight[i] * value * scale);
    }
}
