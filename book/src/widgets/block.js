// One vector on its way through a block of the bundled model, stage by stage.
"use strict";

(() => {
    const { chips, choice, define, visible } = courseWidgets;
    const [ROOM, HEIGHT, MARK] = [10, 160, 3]; // for a bar, of the drawing, of a mark
    const STAGES = [
        { name: "x", kind: "stream", says: "the vector as it comes into the block." },
        { name: "ln_1", kind: "copy", says: "a normalized copy of x, for attn to read." },
        { name: "attn", kind: "found", says: "what attn found, to be added to x." },
        { name: "+ attn", kind: "stream", before: 0, says: "the sum; the marks are at x." },
        { name: "ln_2", kind: "copy", says: "a normalized copy of the sum, for mlp to read." },
        { name: "mlp", kind: "found", says: "what mlp made of it, to be added to the sum." },
        { name: "+ mlp", kind: "stream", before: 3, says: "the sum; the marks are without mlp." },
    ];
    const STATISTICS = { norm: 2, mean: 3, spread: 2 }; // and how many of their digits are shown

    const fixed = (value, digits) => value.toFixed(digits).replace("-", "−");
    const largest = (vector) => Math.max(...vector.map(Math.abs));

    define("block", window.courseData?.["block"], (form, data) => {
        const { numbers } = data.blocks[0][0];
        const width = numbers.length * ROOM;
        const rects = (name) => {
            const rect = (x) =>
                `<rect class="${name}" x="${x + 1.5}" width="${ROOM - 3}" height="${MARK}"/>`;
            return numbers.map((_, i) => rect(i * ROOM)).join("");
        };
        const statistic = (name) => `<div><dt>${name}</dt><dd data-name="${name}"></dd></div>`;
        const names = STAGES.map(({ name }) => `<code>${name}</code>`);
        form.innerHTML = `
            ${choice("block", "Block", data.blocks.map((_, i) => `h.${i}`), data.layer)}
            ${chips("stage", `The vector of “${visible(data.token)}” at`, names)}
            <p role="status"></p>
            <div class="plot">
                <div class="axis" aria-hidden="true"><span></span><span>0</span><span></span></div>
                <svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" role="img">
                    <path class="zero" d="M0 ${HEIGHT / 2} H${width}"/>
                    ${rects("bar")} ${rects("mark")}
                </svg>
            </div>
            <label><input type="checkbox" name="same" checked> the same scale at all stages</label>
            <dl>${Object.keys(STATISTICS).map(statistic).join("")}</dl>
            <p class="note">Drawn are the first ${numbers.length} of ${data.width} numbers.
                Norm, mean and spread are of all.</p>`;
        const svg = form.querySelector("svg");
        const [top, , bottom] = form.querySelectorAll(".axis span");
        const [bars, marks] = ["bar", "mark"].map((name) => form.querySelectorAll(`.${name}`));

        function show() {
            const index = Number(form.elements.stage.value);
            const { name, kind, before = index, says } = STAGES[index];
            const block = data.blocks[form.elements.block.value];
            const seen = form.elements.same.checked ? block : [block[index], block[before]];
            const full = Math.max(...seen.map((stage) => largest(stage.numbers)));
            const y = (value) => (1 - value / full) * (HEIGHT / 2);
            block[index].numbers.forEach((value, i) => {
                bars[i].style.y = `${y(Math.max(value, 0))}px`;
                bars[i].style.height = `${y(0) - y(Math.abs(value))}px`;
                marks[i].style.y = `${y(block[before].numbers[i]) - MARK / 2}px`;
            });
            svg.setAttribute("class", before === index ? kind : `${kind} sum`);
            svg.setAttribute("aria-label", `The vector at ${name}, as bars`);
            [top.textContent, bottom.textContent] = [fixed(full, 1), fixed(-full, 1)];
            for (const [statistic, digits] of Object.entries(STATISTICS)) {
                form.querySelector(`[data-name=${statistic}]`).textContent =
                    fixed(block[index][statistic], digits);
            }
            form.querySelector("[role=status]").textContent =
                `${name} in h.${form.elements.block.value}: ${says}`;
        }

        form.addEventListener("input", show);
        show();
    });
})();
