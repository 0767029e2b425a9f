// Merges of the bundled model's tokenizer, one after the other, on a text of the reader's own.
"use strict";

(() => {
    const { define, drawPiece } = courseWidgets;
    const MOST = 60; // characters that fit a phone, and that anyone would follow

    define("merges", window.courseData?.["merges"], (form, data) => {
        const tokenizer = new LiveTokenizer(data.merges.join("\n"));
        const rank = (pair) => tokenizer.ranks.get(pair);
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
            const pairs = pieces.map((tokens) => tokenizer.first(tokens)).filter(Boolean);
            return pairs.sort((one, other) => rank(one) - rank(other))[0];
        }

        function merge() {
            const pair = find();
            if (!pair) return "";
            pieces = pieces.map((tokens) => LiveTokenizer.join(tokens, pair));
            added = pair.replace(" ", "");
            return `Rank ${rank(pair)}: ${pair.replace(" ", " and ")}.`;
        }

        function show(said) {
            form.querySelector(".pieces").replaceChildren(
                ...pieces.map((tokens) => drawPiece(tokens, added)),
            );
            const left = pieces.flat().length;
            const done = find() ? "" : " Nothing left to merge.";
            status.textContent = `${said} ${left} tokens of ${count} bytes.${done}`.trim();
            form.elements.merge.disabled = form.elements.all.disabled = !find();
        }

        function start() {
            pieces = LiveTokenizer.split(form.elements.text.value).map(LiveTokenizer.spell);
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
