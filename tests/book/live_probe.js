// What the model of the pages computes, as JSON: run by test_live.py in node and in Chromium, on
// the very files of book/live.
async ({ llama = false, texts = [], ids = [], prompts = [], newTokens = 0, off = [], shareOut = null, inside = null, places = [] }) => {
    const packed = courseModels[llama ? "llama-tales" : "fairy-tales"];
    const tokenizer = new LiveTokenizer(packed.merges);
    const found = { encoded: texts.map((text) => tokenizer.encode(text)) };
    found.decoded = found.encoded.map((tokens) => tokenizer.decode(tokens));
    if (!ids.length && !prompts.length) return found;

    const Model = llama ? LiveLlama : LiveGPT2;
    const model = new Model(packed.config, await LiveWeights.unpack(packed));
    const read = (tokens) => {
        model.start(off);
        return tokens.map((id, i) => model.step(id, places[i]));
    };
    found.logits = read(ids).map((x) => [...model.logits(x)]);
    found.shares = model.trace.map(({ blocks }) =>
        blocks.map(({ shares }) => shares.map((share) => [...share])),
    );
    found.ends = model.trace.map(({ blocks }) => blocks.map(({ end }) => [...end]));
    if (shareOut) found.shareOut = model.shareOut(...shareOut);
    if (inside) {
        const numbers = Object.entries(model.inside(...inside));
        found.inside = Object.fromEntries(numbers.map(([box, values]) => [box, [...values]]));
    }

    const begun = performance.now();
    found.stories = prompts.map((prompt) => {
        const story = [...prompt];
        let x = read(prompt).at(-1);
        for (let i = 0; i < newTokens; i += 1) {
            const logits = model.logits(x);
            story.push(logits.indexOf(Math.max(...logits)));
            if (i + 1 < newTokens) x = model.step(story.at(-1));
        }
        return story;
    });
    found.msPerToken = (performance.now() - begun) / found.stories.flat().length;
    return found;
}
