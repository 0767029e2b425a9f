// Learns merges from a text of the reader's own, one at a time, as solutions/text_02.py does.
"use strict";

(() => {
    const { define, drawPiece, element } = courseWidgets;
    const MOST = 300; // characters of a text
    const SHOWN = 8; // pairs that are listed
    const LETTERS = LiveTokenizer.byteLetters().sort((a, b) => a.codePointAt() - b.codePointAt());

    // What is known before the first merge: each different piece, and how often it occurs.
    function begin(text) {
        const counts = new Map();
        for (const piece of LiveTokenizer.split(text)) increase(counts, piece, 1);
        const rows = Array.from(counts, ([piece, times]) => ({
            tokens: LiveTokenizer.spell(piece),
            times,
        }));
        return { rows, merges: [] };
    }

    function increase(counts, key, times) {
        counts.set(key, (counts.get(key) ?? 0) + times);
    }

    // The pairs of neighbors, the most frequent first; in ties, the older first token comes first,
    // then the older second one.
    function countPairs({ rows, merges }) {
        const counts = new Map();
        for (const { tokens, times } of rows) {
            tokens.slice(1).forEach((token, i) => increase(counts, `${tokens[i]} ${token}`, times));
        }
        const tokens = [...LETTERS, ...merges.map(({ pair }) => pair.replace(" ", ""))];
        const byAge = new Set(tokens); // in which a token keeps its first place
        const ages = new Map(Array.from(byAge, (token, age) => [token, age]));
        const entries = Array.from(counts, ([pair, times]) => {
            const [first, second] = pair.split(" ");
            return { pair, times, first: ages.get(first), second: ages.get(second) };
        });
        return entries.sort(
            (a, b) => b.times - a.times || a.first - b.first || a.second - b.second,
        );
    }

    function learn({ rows, merges }, { pair, times }) {
        const joined = rows.map((row) => ({ ...row, tokens: LiveTokenizer.join(row.tokens, pair) }));
        return { rows: joined, merges: [...merges, { pair, times }] };
    }

    const size = ({ rows }) => rows.reduce((sum, row) => sum + row.times * row.tokens.length, 0);
    const words = (pair) => pair.replace(" ", " and ");

    const table = (name, caption, heads) => `<table class="${name}">
        <caption>${caption}</caption>
        <thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join("")}</tr></thead>
        <tbody></tbody></table>`;

    function drawRow(cells, className) {
        const row = element("tr", className, "");
        row.append(...cells.map((text, i) => element(i ? "td" : "th", "", text)));
        row.cells[0].scope = "row";
        return row;
    }

    define("learning", {}, (form) => {
        form.innerHTML = `
            <label>text <textarea name="text" rows="2" maxlength="${MOST}" spellcheck="false"
                autocomplete="off">a rose is a rose is a rose</textarea></label>
            <div class="pieces" role="group" aria-label="pieces and how often each occurs"></div>
            <div class="buttons">
                <button type="button" name="learn">learn one merge</button>
                <button type="button" name="back">back</button>
                <button type="button" name="again">start again</button>
            </div>
            <p role="status"></p>
            <div class="side-by-side">
                ${table("pairs", "Most frequent pairs", ["pair", "times"])}
                ${table("learned", "Merges so far", ["rank", "pair", "times"])}
            </div>`;
        const find = (selector) => form.querySelector(selector);
        const { text, learn: next, back, again } = form.elements;
        let states;

        function show() {
            const state = states.at(-1);
            const [last, pairs] = [state.merges.at(-1), countPairs(state)];
            const canLearn = pairs[0]?.times > 1;
            find(".pieces").replaceChildren(
                ...state.rows.map(({ tokens, times }) => {
                    const piece = drawPiece(tokens, last?.pair.replace(" ", ""));
                    piece.prepend(element("span", "times", `${times} ×`));
                    return piece;
                }),
            );
            find(".pairs tbody").replaceChildren(
                ...pairs.slice(0, SHOWN).map(({ pair, times }, i) =>
                    drawRow([pair, times], !i && canLearn ? "drawn" : "")),
            );
            find(".learned tbody").replaceChildren(
                ...state.merges.map(({ pair, times }, rank) => drawRow([rank, pair, times], "")),
            );
            const rank = state.merges.length - 1;
            const learned = last ? `Rank ${rank}: ${words(last.pair)}, ${last.times} times. ` : "";
            const rest = canLearn ? "" : " No pair occurs twice, so that's all there is to learn.";
            find("[role=status]").textContent =
                `${learned}${size(state)} tokens of ${size(states[0])} bytes.${rest}`;
            next.disabled = !canLearn;
            back.disabled = again.disabled = states.length === 1;
        }

        function start() {
            states = [begin(text.value)];
            show();
        }

        form.addEventListener("input", start);
        form.addEventListener("click", ({ target }) => {
            if (target === next) states.push(learn(states.at(-1), countPairs(states.at(-1))[0]));
            if (target === back) states.pop();
            if (target === again) states.length = 1;
            if (target.type === "button") show();
        });
        start();
    });
})();
