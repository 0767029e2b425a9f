// How large the models of the pages are, as a server compresses their scripts, and what a token
// takes that they read or write: the least and the median of some stories, since other programs may
// run beside it.
//
// node benchmarks/live_model.js
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const zlib = require("node:zlib");

const BOOK = path.join(__dirname, "..", "book");
const MODELS = { "fairy-tales": "LiveGPT2", "llama-tales": "LiveLlama" };
const FILES = ["tokenizer", "model", "gpt2", "llama", "weights"].map((name) => `live/${name}`);
const [STORIES, TOKENS] = [9, 120];

globalThis.window = globalThis;
const read = (name) => fs.readFileSync(path.join(BOOK, `${name}.js`), "utf8");
const packed = Object.keys(MODELS).map((name) => read(`src/live/${name}`));
const measure = vm.runInThisContext(`${[...packed, ...FILES.map(read)].join("\n")}
async (Model, { config, merges, ...weights }, stories, tokens) => {
    const model = new Model(config, await LiveWeights.unpack(weights));
    const prompt = new LiveTokenizer(merges).encode("Once upon a time");
    return Array.from({ length: stories }, () => {
        model.start();
        const begun = performance.now();
        let logits;
        for (let i = 0; i < tokens; i += 1) {
            const id = prompt[i] ?? logits.indexOf(Math.max(...logits));
            logits = model.logits(model.step(id));
        }
        return (performance.now() - begun) / tokens;
    });
}`);

(async () => {
    for (const [i, [name, model]] of Object.entries(MODELS).entries()) {
        const megabytes = (zlib.gzipSync(packed[i], { level: 6 }).length / 1e6).toFixed(2);
        const times = await measure(vm.runInThisContext(model), courseModels[name], STORIES, TOKENS);
        times.sort((a, b) => a - b);
        const [least, median] = [times[0], times[Math.floor(STORIES / 2)]].map((ms) => ms.toFixed(1));
        console.log(`${name}: ${megabytes} MB, ${least} ms a token at best, ${median} ms in the middle`);
    }
})();
