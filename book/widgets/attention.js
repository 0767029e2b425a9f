// What the heads of the bundled model attend to in a sentence: how each token, as the query,
// shares out its weight over itself and the tokens before it.
"use strict";

(() => {
    const { chips, choice, define, visible } = courseWidgets;
    const NAMED = 3; // so many of the largest weights are said in words

    define("attention", window.courseData?.["attention"], (form, data) => {
        const { weights } = data;
        const tokens = data.tokens.map(visible);
        const chip = (token) => `<code>${token}</code><span class="share"></span>`;
        const cells = tokens.map(() => `<span class="cell"></span>`).join("");
        const rows = tokens.map((token) => `<div><code>${token}</code>${cells}</div>`).join("");
        const keys = tokens.map((token) => `<code>${token}</code>`).join("");
        const about = "All weights of the head: a row for each query, a column for each key";
        form.innerHTML = `
            <div class="side-by-side">
                ${choice("layer", "Block", weights.map((_, i) => `h.${i}`), data.layer)}
                ${choice("head", "Head", weights[0].map((_, i) => i), data.head)}
            </div>
            ${chips("query", "The token that asks, the query", tokens.map(chip), data.query)}
            <p role="status"></p>
            <div class="map" role="img" aria-label="${about}">
                <p class="keys"><span>key →<br>query ↓</span>${keys}</p>${rows}
            </div>`;
        const labels = [...form.querySelectorAll(".chip")];
        const mapRows = [...form.querySelectorAll(".map > div")];
        const fields = form.elements;

        function show(query = Number(fields.query.value)) {
            const head = weights[fields.layer.value][fields.head.value];
            labels.forEach((label, key) => {
                const weight = head[query][key];
                label.classList.toggle("asking", key === query);
                label.classList.toggle("unseen", key > query);
                label.style.setProperty("--weight", weight ?? 0);
                label.querySelector(".share").textContent = weight?.toFixed(2) ?? "–";
            });
            mapRows.forEach((row, i) => {
                row.classList.toggle("asking", i === query);
                row.querySelectorAll(".cell").forEach((cell, key) => {
                    cell.classList.toggle("unseen", key > i);
                    cell.style.setProperty("--weight", head[i][key] ?? 0);
                });
            });
            const named = [...head[query].keys()]
                .sort((a, b) => head[query][b] - head[query][a])
                .slice(0, NAMED)
                .map((key) => `${head[query][key].toFixed(2)} to “${tokens[key]}” (${key})`);
            form.querySelector("[role=status]").textContent =
                `Head ${fields.head.value} of h.${fields.layer.value}: “${tokens[query]}” ` +
                `(${query}) gives ${named.join(", ")}.`;
        }

        // Hovering shows another query for as long as it lasts; a click makes it stay.
        for (const elements of [labels, mapRows]) {
            elements.forEach((element, query) => {
                element.addEventListener("mouseenter", () => show(query));
                element.addEventListener("mouseleave", () => show());
            });
        }
        mapRows.forEach((row, query) =>
            row.addEventListener("click", () => {
                fields.query.value = query;
                show();
            }),
        );
        form.addEventListener("input", () => show());
        show();
    });
})();
