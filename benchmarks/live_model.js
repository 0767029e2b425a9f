// What a token takes that the model of the pages reads and continues, in milliseconds: the least
// and the median of some stories, since other programs may run beside it.
//
// node benchmarks/live_model.js
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const BOOK = path.join(__dirname, "..", "book");
const FILES = ["src/live/fairy-tales", "live/tokenizer", "live/model", "live/weights"];
const [STORIES, TOKENS] = [9, 120];

globalThis.window = globalThis;
const source = FILES.map((name) => fs.readFileSync(path.join(BOOK, `${name}.js`), "utf8"));
vm.runInThisContext(`${source.join("\n")}
async (stories, tokens) => {
    const model = new LiveModel(courseModel.config, await LiveWeights.unpack(courseModel));
    const prompt = new LiveTokenizer(courseModel.merges).encode("Once upon a time");
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
}`)(STORIES, TOKENS).then((times) => {
    times.sort((a, b) => a - b);
    const [least, median] = [times[0], times[Math.floor(STORIES / 2)]].map((ms) => ms.toFixed(1));
    console.log(`${least} ms a token at best, ${median} ms in the middle (${process.version})`);
});
