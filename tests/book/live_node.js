// Runs the probe in node: JSON in, JSON out. The files are classic scripts, as in a page.
"use strict";

const fs = require("node:fs");
const vm = require("node:vm");

globalThis.window = globalThis;
const [probe, ...scripts] = process.argv.slice(2);
for (const file of scripts) vm.runInThisContext(fs.readFileSync(file, "utf8"), file);
vm.runInThisContext(fs.readFileSync(probe, "utf8"), probe)(
    JSON.parse(fs.readFileSync(0, "utf8")),
).then((found) => process.stdout.write(JSON.stringify(found)));
