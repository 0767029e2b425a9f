// The next-token distribution of the bundled model under temperature, then top-k, then top-p, as in
// solutions/engine_02.py.
"use strict";

(() => {
    const { choice, define, say, slider, visible } = courseWidgets;
    const { PLAIN, count, describe, draw, percent, probabilities, ranked, sum } = courseSampling;
    const SHOWN = 12;
    const TOP_K = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40, 50, 100, 200, 500, 1000, 2000];
    const SCALES = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1]; // what a full bar can mean
    const SLIDERS = {
        temperature: { max: 2, step: 0.1, value: 1 },
        top_k: { max: TOP_K.length, value: TOP_K.length }, // a place in TOP_K; the last is all
        top_p: { min: 0.05, max: 1, step: 0.05, value: 1 },
    };
    define("next-token", window.courseData?.["next-token"], (form, data) => {
        const row = `<tr>
            <th scope="row"></th>
            <td aria-hidden="true"><div class="bars">
                <i class="bar"></i><i class="mark"></i>
            </div></td>
            <td></td><td></td>
        </tr>`;
        form.innerHTML = `
            ${choice("prompt", "Text", data.prompts.map(({ text }) => text))}
            ${Object.entries(SLIDERS).map(([name, values]) => slider(name, values)).join("")}
            <div class="buttons">
                <button type="button" value="1">Draw a token</button>
                <button type="button" value="100">Draw 100</button>
                <button type="reset">Reset</button>
            </div>
            <p class="text"><span></span><mark></mark> …</p>
            <table class="tokens">
                <caption>The most likely next tokens. The marks are at the model's own
                    probabilities.</caption>
                <colgroup><col><col><col><col></colgroup>
                <thead><tr>
                    <th scope="col">Token</th>
                    <th scope="colgroup" colspan="2">Probability<span class="scale"></span></th>
                    <th scope="col"></th>
                </tr></thead>
                <tbody>${row.repeat(SHOWN + 1)}</tbody>
            </table>
            <p role="status" class="summary"></p>
            <p role="status" class="news"></p>`;
        const [text, mark, summary, news] = [".text span", "mark", ".summary", ".news"].map(
            (selector) => form.querySelector(selector),
        );
        const [scale, drawnHead] = [".scale", "th:last-child"].map((selector) =>
            form.querySelector(selector),
        );
        const rows = [...form.querySelector("tbody").rows];
        let prompt, order, logits, own, settings, now, counts, last;

        const token = (rank) => data.vocabulary[order[rank]];

        // Take what is set, and forget what was drawn with other settings.
        function update() {
            prompt = data.prompts[form.elements.prompt.value];
            order = ranked(prompt.logits);
            logits = order.map((id) => prompt.logits[id]);
            const [temperature, place, topP] = Object.keys(SLIDERS).map((name) =>
                Number(form.elements[name].value),
            );
            settings = { temperature, topK: TOP_K[place] ?? Infinity, topP };
            say(form, "temperature", temperature ? temperature.toFixed(1) : "0: greedy");
            say(form, "top_k", `${TOP_K[place] ?? "all"}`);
            say(form, "top_p", topP < 1 ? topP.toFixed(2) : "1: all");
            own = probabilities(logits, PLAIN);
            now = probabilities(logits, settings);
            counts = logits.map(() => 0);
            last = undefined;
            news.textContent = "";
            summary.textContent = describe(now, settings);
            show();
        }

        function drawTokens(times) {
            for (let i = 0; i < times; i += 1) {
                last = draw(now.weights);
                counts[last] += 1;
            }
            const name = `“${visible(token(last))}”`;
            const share = percent(now.weights[last]);
            news.textContent =
                times === 1
                    ? `Drawn: ${name}, which had ${share}.`
                    : `Drawn: ${times} tokens, the last ${name}.`;
            show();
        }

        function show() {
            const total = sum(counts);
            const top = Math.max(own.weights[0], now.weights[0]);
            const full = SCALES.find((share) => share >= top) ?? 1;
            scale.textContent = `, a full bar is ${Math.round(100 * full)}%`;
            drawnHead.textContent = total ? `Drawn of ${total}` : "Drawn";
            text.textContent = prompt.text;
            mark.textContent = last === undefined ? "" : token(last);
            rows.forEach((cells, rank) => {
                const isToken = rank < SHOWN;
                const of = (values) => (isToken ? values[rank] : sum(values.slice(SHOWN)));
                const [name, bars, number, drawn] = cells.cells;
                const share = of(now.weights);
                const isCut = share === 0 && settings.temperature > 0;
                cells.classList.toggle("others", !isToken);
                cells.classList.toggle("cut", isCut);
                cells.classList.toggle("drawn", rank === Math.min(last, SHOWN));
                name.textContent = isToken
                    ? visible(token(rank))
                    : `${count(logits.length - SHOWN)} others`;
                bars.querySelector(".bar").style.inlineSize = `${(100 * share) / full}%`;
                bars.querySelector(".mark").style.insetInlineStart =
                    `${(100 * of(own.weights)) / full}%`;
                number.textContent = isCut ? "cut" : percent(share);
                drawn.textContent = total ? of(counts) : "";
            });
        }

        form.addEventListener("input", update);
        form.addEventListener("reset", () => setTimeout(update)); // after the reset itself
        form.addEventListener("click", (event) => {
            if (event.target.type === "button") drawTokens(Number(event.target.value));
        });
        update();
    });
})();
