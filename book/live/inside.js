// Views of what is inside: the numbers of all tokens at a box of the architecture map, those of one
// token on its way through a block, the columns of a cache, and what positions change.
"use strict";

(() => {
    const { escape, range, whenChanged, windowOf } = liveViews.parts;
    const { count, percent } = courseSampling;
    const PACE = 450; // ms for a token
    const NEXT = 6; // so many of the next tokens are compared
    const TURNS = 8; // so many of the last ones are shown
    const SAID = 5; // so many numbers are said in words
    const isStill = matchMedia("(prefers-reduced-motion: reduce)");

    const fixed = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
    const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    const KEY = `<p class="note">Each stripe is a number: <span class="above">above 0</span>,
        <span class="below">below 0</span>, stronger further from 0.</p>`;

    // A slider for the block that is looked into.
    function blocks(place) {
        const last = LiveText.config.n_layer - 1;
        return courseWidgets.slider("block", { max: last, value: Number(place.dataset.block ?? 0) });
    }

    // Numbers as stripes, in the colours of the key.
    function stripes(canvas, values, most, place) {
        const [above, below] = ["above", "below"].map(
            (name) => getComputedStyle(place.querySelector(`.${name}`)).color,
        );
        canvas.width = values.length;
        canvas.height = 1;
        const context = canvas.getContext("2d");
        values.forEach((value, i) => {
            context.fillStyle = value < 0 ? below : above;
            context.globalAlpha = Math.sqrt(Math.abs(value) / most);
            context.fillRect(i, 0, 1, 1);
        });
    }

    // The first few numbers, and how large they get.
    function numbers(values) {
        const first = values.slice(0, SAID).map((value) => fixed(value)).join(", ");
        const [least, most] = [Math.min(...values), Math.max(...values)];
        return `${count(values.length)} numbers, ${first} and so on, ` +
            `from ${fixed(least)} to ${fixed(most)}`;
    }

    // The keys of all heads side by side, with room for those that come later, and between heads.
    function sideBySide(values, keys) {
        const { n_head } = LiveText.config;
        const own = values.length / n_head;
        return range(n_head).flatMap((head) => [
            ...values.slice(head * own, (head + 1) * own),
            ...Array(keys - own + 1).fill(0),
        ]);
    }

    const isByKey = (box) => box === "scores" || box === "shares";

    // What a token has at a box, in words.
    function describe(box, values, text) {
        if (box === "ids") return `id ${values[0]}`;
        if (box === "chances" || box === "logits") {
            const best = values.indexOf(Math.max(...values));
            const value = box === "logits" ? fixed(values[best]) : percent(values[best]);
            return `${count(values.length)} numbers, the largest for “${text.show(best)}”: ${value}`;
        }
        if (!isByKey(box)) return numbers(values);
        const { n_head } = LiveText.config;
        const own = values.slice(0, values.length / n_head);
        return `${n_head} heads side by side, with a number for each of ${own.length} keys; ` +
            `head 0 has ${own.slice(-SAID).map((value) => fixed(value)).join(", ")} at the last`;
    }

    // The numbers that flow through the box that is chosen on the map, a row for each token.
    function flow(place, text) {
        const figure = place.closest("figure");
        place.innerHTML = `
            <p class="title"></p>
            ${blocks(place)}
            <div class="buttons"><button type="button" name="play">Let it flow</button></div>
            <div class="rows"></div>
            ${KEY}
            <p role="status" class="named"></p>`;
        const form = place.closest("form");
        const [title, rows, named, play] = [".title", ".rows", ".named", "button"].map((selector) =>
            place.querySelector(selector),
        );
        const block = place.querySelector("[name=block]");
        const isThere = () => courseArchitecture.size === courseBoxes.SIZES[0];
        let [asked, isFlowing] = [0, false];

        rows.addEventListener("click", ({ target }) => {
            const at = target.closest("[data-token]")?.dataset.token;
            if (at === undefined) return;
            text.at = Number(at);
            text.changed();
        });
        place.addEventListener("input", () => text.changed());
        play.addEventListener("click", flowOn);
        figure.addEventListener("choose", () => text.changed());

        // Let the tokens come one by one, each through all boxes.
        async function flowOn() {
            if (isFlowing) return void (isFlowing = false); // the loop below sees it
            isFlowing = true;
            play.textContent = "Stop";
            const [from, to] = windowOf(rows, text);
            for (let token = from; token < to && isFlowing; token += 1) {
                rows.dataset.upTo = token;
                figure.dispatchEvent(new Event("flow"));
                reveal();
                await pause(PACE);
            }
            isFlowing = false;
            play.textContent = "Let it flow";
            delete rows.dataset.upTo;
            reveal();
        }

        // Show the rows that have come, and mark the newest, or else the chosen one.
        function reveal() {
            const newest = rows.dataset.upTo ?? Infinity;
            const marked = rows.dataset.upTo ?? text.place;
            for (const row of rows.children) {
                row.classList.toggle("coming", row.dataset.token > Number(newest));
                row.classList.toggle("asking", row.dataset.token === `${marked}`);
            }
        }

        const key = () => [
            ...[text.version, text.place, courseArchitecture.box, courseArchitecture.size.name],
            ...[block.value, rows.clientWidth, getComputedStyle(rows).color],
        ].join();
        return whenChanged(key, async () => {
            play.hidden = isStill.matches || !isThere();
            courseWidgets.say(form, "block", `h.${block.value}`);
            const { box } = courseArchitecture;
            const { isInBlock } = courseBoxes.find(courseBoxes.SIZES[0], box);
            block.closest(".control").hidden = !isInBlock || !isThere();
            rows.hidden = place.querySelector(".note").hidden = !isThere();
            if (!isThere()) {
                title.textContent = "The numbers";
                named.textContent = "This page has the weights of the bundled GPT-2 only. " +
                    "Choose that size to see numbers.";
                return;
            }
            const shown = windowOf(rows, text);
            const ticket = (asked += 1);
            const found = await text.inside(box, Number(block.value), shown).catch(() => null);
            if (!found || ticket !== asked) return; // another box, or another text
            title.innerHTML = `The numbers of “${courseArchitecture.words}”` +
                (isInBlock ? ` in <code>h.${block.value}</code>` : "");
            const most = Math.max(...found.map(largest)) || 1;
            const isId = box === "ids";
            rows.innerHTML = found.map((_, i) => `<div data-token="${shown[0] + i}">
                <code>${escape(text.show(text.ids[shown[0] + i]))}</code>
                ${isId ? `<span>${found[i][0]}</span>` : "<canvas></canvas>"}</div>`).join("");
            place.querySelector(".note").hidden = isId;
            if (!isId) {
                rows.querySelectorAll("canvas").forEach((canvas, i) => {
                    const values = isByKey(box) ? sideBySide(found[i], shown[1]) : found[i];
                    stripes(canvas, values, most, place);
                });
            }
            reveal();
            const values = found[text.place - shown[0]];
            named.textContent = `“${text.show(text.ids[text.place])}” (${text.place}): ` +
                `${describe(box, values, text)}.`;
        });
    }

    const STAGES = {
        x: ["x", "the stream, as it comes into the block"],
        ln_1: ["ln_1", "its normalized copy, for attention to read"],
        attn: ["attn", "what attention found"],
        attn_sum: ["x + attn", "the stream with that"],
        ln_2: ["ln_2", "its normalized copy, for the MLP to read"],
        c_fc: ["c_fc", "wider: one number for each detector"],
        gelu: ["GELU", "those below 0 are close to 0 now"],
        mlp: ["mlp", "what the MLP made of it"],
        end: ["x + attn + mlp", "the stream with that, too"],
    };

    // One token on its way through a block: its numbers at some stages, with their length, mean and
    // spread.
    function stages(place, text) {
        const { stages: named, block: first } = place.closest("figure").dataset;
        const names = named.split(" ");
        place.dataset.block = first ?? 0;
        place.innerHTML = `
            <p class="title"></p>
            ${blocks(place)}
            <div class="scrolled" tabindex="0" role="group" aria-label="The stages">
            <table><thead><tr><th scope="col">at</th><th scope="col">numbers</th>
                ${["norm", "mean", "spread"].map((name) => `<th scope="col">${name}</th>`).join("")}
            </tr></thead><tbody></tbody></table></div>
            ${KEY}`;
        const form = place.closest("form");
        const [title, body] = [".title", "tbody"].map((name) => place.querySelector(name));
        const block = place.querySelector("[name=block]");
        place.addEventListener("input", () => text.changed());
        let asked = 0;
        const key = () =>
            [text.version, text.place, block.value, getComputedStyle(place).color].join();
        return whenChanged(key, async () => {
            courseWidgets.say(form, "block", `h.${block.value}`);
            const ticket = (asked += 1);
            const found = await text.stages(names, Number(block.value)).catch(() => null);
            if (!found || ticket !== asked) return;
            title.innerHTML = `“<code>${escape(text.show(text.ids[text.place]))}</code>” ` +
                `(${text.place}) in <code>h.${block.value}</code>`;
            body.innerHTML = names.map((name, i) => {
                const { mean, deviation } = LiveGPT2.spread(found[i], 0);
                const norm = Math.sqrt(found[i].reduce((sum, value) => sum + value ** 2, 0));
                return `<tr><th scope="row"><code>${STAGES[name][0]}</code></th>
                    <td><canvas role="img" aria-label="${STAGES[name][1]}"></canvas></td>
                    <td>${fixed(norm)}</td><td>${fixed(mean, 3)}</td><td>${fixed(deviation)}</td>
                    </tr>`;
            }).join("");
            const canvases = body.querySelectorAll("canvas");
            range(names.length).forEach((i) => {
                stripes(canvases[i], found[i], largest(found[i]) || 1, place);
            });
        });
    }

    // Turn by turn, the columns that the model computes and those that it remembers.
    function cache(place, text) {
        place.innerHTML = `
            <div class="buttons"><button type="button">One more token</button></div>
            <div class="scrolled" tabindex="0" role="group" aria-label="Turns and their columns">
            <table><thead><tr><th scope="col">turn</th><th scope="col">columns</th>
                <th scope="col">computed</th><th scope="col">without</th></tr></thead>
                <tbody></tbody></table></div>
            <p role="status" class="counted"></p>`;
        const [body, counted] = ["tbody", ".counted"].map((name) => place.querySelector(name));
        const turns = [];
        text.settings.temperature = 0;
        place.querySelector("button").addEventListener("click", () => {
            if (!text.isFull) text.append(text.draw());
        });
        return whenChanged(() => text.version, () => {
            text.choose(); // greedily, whatever a link says
            turns.push({ ids: text.ids, from: text.from });
            const cell = (id, kind) => `<code class="${kind}">${escape(text.show(id))}</code>`;
            const rows = turns.map(({ ids, from }, turn) => `<tr><th scope="row">${turn + 1}</th>
                <td>${ids.map((id, i) => cell(id, i < from ? "known" : "new")).join("")}</td>
                <td>${ids.length - from}</td><td>${ids.length}</td></tr>`);
            body.innerHTML = rows.slice(-TURNS).join("");
            const total = (numbers) => numbers.reduce((sum, each) => sum + each, 0);
            const own = total(turns.map(({ ids, from }) => ids.length - from));
            const without = total(turns.map(({ ids }) => ids.length));
            counted.innerHTML = `<strong>${count(own)} columns, ${count(without)} without</strong>`;
        });
    }

    // What comes next if the positions of two tokens are swapped, or if all are 0.
    function places(place, text) {
        place.innerHTML = `
            ${courseWidgets.chips(`places-${place.dataset.number}`, "Positions", [
                "the chosen token and the one before it swapped", "all of them 0",
            ])}
            <table><thead><tr><th scope="col">next token</th><th scope="col">as it is</th>
                <th scope="col">changed</th></tr></thead><tbody></tbody></table>
            <p role="status" class="named"></p>`;
        const [body, named] = ["tbody", ".named"].map((name) => place.querySelector(name));
        const isSwapped = () => place.querySelector("input").checked;
        place.addEventListener("input", () => text.changed());
        let asked = 0;
        const key = () => [text.version, text.place, isSwapped()].join();
        return whenChanged(key, async () => {
            const second = Math.max(text.place, 1);
            const positions = range(text.ids.length).map((i) => (isSwapped() ? i : 0));
            if (isSwapped() && positions.length > 1) {
                [positions[second - 1], positions[second]] = [second, second - 1];
            }
            const ticket = (asked += 1);
            const found = await text.moved(positions);
            if (ticket !== asked) return;
            body.innerHTML = text.order.slice(0, NEXT).map((id) => `<tr>
                <th scope="row"><code>${escape(text.show(id))}</code></th>
                <td>${percent(text.own.get(id))}</td><td>${percent(found[id])}</td></tr>`).join("");
            const best = found.indexOf(Math.max(...found));
            named.textContent = `${isSwapped() ? `Positions ${second - 1} and ${second} swapped` :
                "All positions 0"}: the most likely next token is “${text.show(best)}”, with ` +
                `${percent(found[best])}.`;
        });
    }

    Object.assign(liveViews, { flow, stages, cache, places });
})();
