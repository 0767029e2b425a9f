// Merges of the bundled model's tokenizer, one after the other, on a text of the reader's own.
"use strict";

(() => {
    const { define } = courseWidgets;
    const PATTERN = /'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
    const MOST = 60; // characters that fit a phone, and that anyone would follow

    // The letters of the bytes: those that can be printed are themselves.
    const letters = (() => {
        let others = 256;
        return Array.from({ length: 256 }, (_, byte) => {
            const isPlain = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
            return String.fromCharCode(isPlain ? byte : others++);
        });
    })();
    const encoder = new TextEncoder();

    function spell(piece) {
        return Array.from(encoder.encode(piece), (byte) => letters[byte]);
    }

    // The tokens with a pair joined from left to right; what is new is told by its place.
    function join(tokens, pair) {
        const joined = [];
        for (const token of tokens) {
            if (`${joined.at(-1)} ${token}` === pair) joined.push(joined.pop() + token);
            else joined.push(token);
        }
        return joined;
    }

    define("merges", window.courseData?.["merges"], (form, data) => {
        const ranks = new Map(data.merges.map((pair, rank) => [pair, rank]));
        let [pieces, added, count] = [[], "", 0];
        form.innerHTML = `
            <div class="control">
                <label>text <input type="text" name="text" maxlength="${MOST}" autocomplete="off"
                    spellcheck="false" value="The witch was unbelievable."></label>
            </div>
            <p class="pieces" aria-label="tokens"></p>
            <div class="buttons">
                <button type="button" name="merge">merge</button>
                <button type="button" name="all">merge all</button>
                <button type="button" name="again">start over</button>
            </div>
            <p role="status"></p>`;
        const status = form.querySelector("[role=status]");

        function find() {
            let best;
            for (const tokens of pieces) {
                for (let i = 0; i + 1 < tokens.length; i++) {
                    const pair = `${tokens[i]} ${tokens[i + 1]}`;
                    if (ranks.has(pair) && !(ranks.get(pair) >= ranks.get(best))) best = pair;
                }
            }
            return best;
        }

        function merge() {
            const pair = find();
            if (!pair) return "";
            pieces = pieces.map((tokens) => join(tokens, pair));
            added = pair.replace(" ", "");
            return `Rank ${ranks.get(pair)}: ${pair.replace(" ", " and ")}.`;
        }

        function show(said) {
            form.querySelector(".pieces").replaceChildren(
                ...pieces.map((tokens) => {
                    const piece = document.createElement("span");
                    piece.className = "piece";
                    piece.append(
                        ...tokens.map((token) => {
                            const part = document.createElement("span");
                            part.className = token === added ? "token here" : "token";
                            part.textContent = token;
                            return part;
                        }),
                    );
                    return piece;
                }),
            );
            const left = pieces.flat().length;
            const done = find() ? "" : " Nothing left to merge.";
            status.textContent = `${said} ${left} tokens of ${count} bytes.${done}`.trim();
            form.elements.merge.disabled = form.elements.all.disabled = !find();
        }

        function start() {
            pieces = (form.elements.text.value.match(PATTERN) ?? []).map(spell);
            [added, count] = ["", pieces.flat().length];
            show("");
        }

        form.addEventListener("input", start);
        form.addEventListener("click", (event) => {
            if (event.target.name === "merge") show(merge());
            if (event.target.name === "all") {
                while (merge()); // until none is left
                added = "";
                show("");
            }
            if (event.target.name === "again") start();
        });
        start();
    });
})();
