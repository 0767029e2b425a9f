// The causal mask for some numbers of new and of cached tokens; what each of its cells means.
"use strict";

(() => {
    const { define, say, slider } = courseWidgets;
    const [MOST_NEW, MOST_CACHED] = [5, 3]; // so many keys fit a phone

    const range = (length) => Array.from({ length }, (_, i) => i);
    const clamp = (value, last) => Math.min(Math.max(value, 0), last);

    // HTML of the grid: what is cached comes before what is new.
    function grid(length, cached) {
        const keys = range(cached + length);
        const group = (span, name) =>
            span ? `<th scope="colgroup" colspan="${span}">${name} keys</th>` : "";
        const heads = keys.map((key) => `<th scope="col">${key}</th>`);
        const rows = range(length).map((query) => {
            const cells = keys.map((key) =>
                key <= query + cached
                    ? `<td role="gridcell" class="seen">0</td>`
                    : `<td role="gridcell" class="unseen">−inf</td>`,
            );
            return `<tr><th scope="row">${query}</th>${cells.join("")}</tr>`;
        });
        return `<thead>
                <tr><td rowspan="2">query</td>${group(cached, "cached")}${group(length, "new")}</tr>
                <tr>${heads.join("")}</tr>
            </thead>
            <tbody>${rows.join("")}</tbody>`;
    }

    define("causal-mask", {}, (form) => {
        form.innerHTML = `
            ${slider("sequence_length", { min: 1, max: MOST_NEW, value: 4 })}
            ${slider("num_tokens", { max: MOST_CACHED, value: 2 })}
            <table class="mask" role="grid" aria-label="The causal mask"></table>
            <p role="status"></p>`;
        const table = form.querySelector("table");
        const status = form.querySelector("[role=status]");
        let [length, cached, query, key] = [0, 0, 2, 1];

        function build() {
            [length, cached] = ["sequence_length", "num_tokens"].map((name) => {
                say(form, name, form.elements[name].value);
                return Number(form.elements[name].value);
            });
            table.innerHTML = grid(length, cached);
            select(clamp(query, length - 1), clamp(key, cached + length - 1));
        }

        // Mark a cell with its row and its column, let Tab come to it, and say what it means.
        function select(newQuery, newKey) {
            [query, key] = [newQuery, newKey];
            [...table.tBodies[0].rows].forEach((row, i) =>
                [...row.cells].forEach((cell, j) => {
                    const isHere = i === query && j === key + 1;
                    cell.classList.toggle("in-line", i === query || j === key + 1);
                    cell.classList.toggle("here", isHere);
                    if (j > 0) cell.tabIndex = isHere ? 0 : -1;
                }),
            );
            [...table.tHead.rows[1].cells].forEach((head, j) =>
                head.classList.toggle("in-line", j === key),
            );
            const [may, sign] = key <= query + cached ? ["may", "≤"] : ["may not", ">"];
            status.textContent =
                `Query ${query} ${may} see key ${key}: ${key} ${sign} ${query} + ${cached}.`;
        }

        function selectFrom(event) {
            const cell = event.target.closest("tbody td");
            if (cell) select(cell.parentElement.sectionRowIndex, cell.cellIndex - 1);
        }

        form.addEventListener("input", build);
        table.addEventListener("mouseover", selectFrom);
        table.addEventListener("focusin", selectFrom);
        table.addEventListener("keydown", (event) => {
            const [lastQuery, lastKey] = [length - 1, cached + length - 1];
            const target = {
                ArrowUp: [query - 1, key],
                ArrowDown: [query + 1, key],
                ArrowLeft: [query, key - 1],
                ArrowRight: [query, key + 1],
                Home: [event.ctrlKey ? 0 : query, 0],
                End: [event.ctrlKey ? lastQuery : query, lastKey],
            }[event.key];
            if (!target) return;
            event.preventDefault();
            const row = table.tBodies[0].rows[clamp(target[0], lastQuery)];
            row.cells[clamp(target[1], lastKey) + 1].focus();
        });
        build();
    });
})();
