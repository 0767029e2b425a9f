// What runs in the worker: for each text of the page a model; those of one name share their weights.
"use strict";

class LiveWorker {
    static TOP = 3; // so many tokens are named at each level of the logit lens

    static async serve(scope) {
        const makers = {}; // name of a model -> makes one that has read nothing
        const texts = new Map(); // number of a text -> its models
        const calls = {
            async load({ name, packed }) {
                const weights = await LiveWeights.unpack(packed);
                const Model = packed.config.model_type === "llama" ? LiveLlama : LiveGPT2;
                makers[name] = () => new Model(packed.config, weights);
            },
            read({ text, model, ids, off }) {
                if (!texts.has(text)) {
                    texts.set(text, { now: makers[model](), whole: makers[model]() });
                }
                const { now, whole } = texts.get(text);
                if (now.off.size !== off.length || !off.every((part) => now.off.has(part))) {
                    now.start(off);
                }
                const begun = performance.now();
                const from = LiveWorker.readOn(now, ids);
                const logits = Float32Array.from(now.logits(now.trace.at(-1).blocks.at(-1).end));
                const ms = (performance.now() - begun) / (ids.length - from);
                const rows = now.trace
                    .slice(from)
                    .map(({ blocks }) => blocks.map(({ shares }) => shares));
                if (!off.length) return { ids, from, rows, logits, ms, whole: null };
                LiveWorker.readOn(whole, ids); // to show what the missing part changes
                const end = whole.trace.at(-1).blocks.at(-1).end;
                return { ids, from, rows, logits, ms, whole: Float32Array.from(whole.logits(end)) };
            },
            // What the model would say after each block, and what moved the logit of a token:
            // the one that comes next in the text, or else the most likely one.
            look({ text, position, next }) {
                const { now } = texts.get(text);
                const { start, blocks } = now.trace[position];
                const levels = [start, ...blocks.map(({ end }) => end)].map((x) => {
                    const shares = LiveModel.softmax(now.logits(x));
                    const top = [...shares.keys()]
                        .sort((a, b) => shares[b] - shares[a])
                        .slice(0, LiveWorker.TOP);
                    return top.map((id) => ({ id, share: shares[id] }));
                });
                const id = next ?? levels.at(-1)[0].id;
                return { position, levels, id, moves: now.shareOut(position, id) };
            },
            // The numbers of some tokens at a box, a row for each.
            inside({ text, box, layer, from, to }) {
                const { now } = texts.get(text);
                return now.trace.slice(from, to).map(({ blocks }, i) => {
                    const found = now.inside(from + i, layer);
                    if (box in found) return [...found[box]];
                    const logits = now.logits(blocks.at(-1).end);
                    return [...(box === "logits" ? logits : LiveModel.softmax(logits))];
                });
            },
            // What comes next if the tokens are told other positions.
            moved({ model, ids, places }) {
                const moved = makers[model]();
                const ends = ids.map((id, i) => moved.step(id, places[i]));
                return [...LiveModel.softmax(moved.logits(ends.at(-1)))];
            },
            // The numbers of one token at several boxes.
            stages({ text, boxes, layer, position }) {
                const found = texts.get(text).now.inside(position, layer);
                return boxes.map((box) => [...found[box]]);
            },
        };
        scope.onmessage = async ({ data: { call, name, details } }) => {
            try {
                scope.postMessage({ call, found: await calls[name](details) });
            } catch (error) {
                scope.postMessage({ call, error: String(error) });
            }
        };
    }

    // Read a text as far as the model doesn't know it; at least its last token. Returns the place
    // of the first token that was read.
    static readOn(model, ids) {
        let same = 0;
        while (same < ids.length - 1 && model.trace[same]?.id === ids[same]) same += 1;
        model.cut(same);
        for (const id of ids.slice(same)) model.step(id);
        return same;
    }
}
