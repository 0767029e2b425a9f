// How the next token is chosen, as in solutions/engine_02.py: temperature, then top-k, then top-p.
"use strict";

const courseSampling = (() => {
    const PLAIN = { temperature: 1, topK: Infinity, topP: 1 };

    const sum = (values) => values.reduce((total, value) => total + value, 0);
    const count = (number) => number.toLocaleString("en");
    const percent = (share) =>
        share > 0 && share < 0.0005 ? "<0.1%" : `${(100 * share).toFixed(1)}%`;

    function normalize(weights) {
        const total = sum(weights);
        return weights.map((weight) => weight / total);
    }

    // The ids, the most likely first.
    function ranked(logits) {
        return [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
    }

    // What each token is drawn with, for logits that are sorted, the largest first; and how many
    // tokens are left after top-k, and after top-p.
    function probabilities(logits, { temperature, topK, topP }) {
        const exponentials = logits.map((logit) => Math.exp((logit - logits[0]) / temperature));
        let weights = normalize(temperature > 0 ? exponentials : logits.map((_, i) => Number(!i)));
        weights = normalize(weights.map((weight, rank) => (rank < topK ? weight : 0)));
        const afterTopK = weights.filter(Boolean).length;
        if (topP < 1) {
            let before = 0;
            const kept = weights.map((weight) => {
                before += weight;
                return before - weight < topP ? weight : 0;
            });
            weights = normalize(kept);
        }
        return { weights, afterTopK, afterTopP: weights.filter(Boolean).length };
    }

    // In bits: two to this power equally likely tokens are as hard to guess.
    function entropy(weights) {
        return -sum(weights.map((weight) => (weight > 0 ? weight * Math.log2(weight) : 0)));
    }

    // In words, how many of the tokens remain, and how open the choice among them is.
    function describe({ weights, afterTopK, afterTopP }, { temperature }) {
        const size = count(weights.length);
        if (!temperature) return `Greedy: always the most likely of ${size} tokens.`;
        const cuts = [
            ["top_k", weights.length - afterTopK],
            ["top_p", afterTopK - afterTopP],
        ].flatMap(([name, tokens]) => (tokens ? [`${name} cuts ${count(tokens)}`] : []));
        const left = `${cuts.length ? `${count(afterTopP)} of` : "All"} ${size} tokens`;
        const bits = entropy(weights);
        return (
            `${[`${left} remain`, ...cuts].join("; ")}. Entropy ${bits.toFixed(2)} bits: ` +
            `as open as a choice among ${(2 ** bits).toFixed(1)} equally likely tokens.`
        );
    }

    // The place of a token, drawn at random.
    function draw(weights) {
        let left = Math.random();
        const rank = weights.findIndex((weight) => (left -= weight) < 0);
        return Math.max(rank, 0); // after rounding, nothing may be left for the last
    }

    return { PLAIN, count, describe, draw, percent, probabilities, ranked, sum };
})();
