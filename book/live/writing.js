// How texts grow: one text, or those of two models side by side.
"use strict";

(() => {
    const { say, slider } = courseWidgets;
    const TOP_K = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40, 50, 100, 200, 500, 1000, 2000];
    const SLIDERS = {
        temperature: { max: 2, step: 0.1 },
        top_k: { max: TOP_K.length }, // a place in TOP_K; the last is all
        top_p: { min: 0.05, max: 1, step: 0.05 },
    };
    const PACE = 45; // ms between two tokens, so that the eye can follow
    const END = "The model ended its text here.";

    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    const full = () =>
        `That's ${LiveText.config.n_positions} tokens, as many as this model can see at once.`;

    // The text so far; what the model wrote is marked.
    function story(place, text, label = "The text so far") {
        place.innerHTML = `<div class="story" role="group" tabindex="0"
            aria-label="${label}"><span></span><mark></mark></div>`;
        const box = place.firstElementChild;
        return () => {
            const { tokenizer } = LiveText;
            box.children[0].textContent = tokenizer.decode(text.ids.slice(0, text.given));
            box.children[1].textContent = tokenizer.decode(text.ids.slice(text.given));
            box.scrollTop = text.at === null ? box.scrollHeight : box.scrollTop;
        };
    }

    // The settings as sliders, and what brings them up to date.
    function settings(place, texts, controls) {
        place.innerHTML = controls
            .map((name) => slider(name, { ...SLIDERS[name], value: 0 }))
            .join("");
        const form = place.closest("form");
        place.addEventListener("input", ({ target: { name, value } }) => {
            for (const text of texts) {
                if (name === "temperature") text.settings.temperature = Number(value);
                if (name === "top_k") text.settings.topK = TOP_K[value] ?? Infinity;
                if (name === "top_p") text.settings.topP = Number(value);
                text.choose();
                text.changed();
            }
        });
        return ({ settings: { temperature, topK, topP } }) => {
            const rank = TOP_K.findIndex((kept) => kept >= topK);
            const shown = {
                temperature: [temperature, temperature ? temperature.toFixed(1) : "0: greedy"],
                top_k: [rank < 0 ? TOP_K.length : rank, topK < Infinity ? `${topK}` : "all"],
                top_p: [topP, topP < 1 ? topP.toFixed(2) : "1: all"],
            };
            for (const name of controls) {
                place.querySelector(`[name=${name}]`).value = shown[name][0];
                say(form, name, shown[name][1]);
            }
        };
    }

    // Draw a token for each text that has room, and append it unless it ends the text. Returns the
    // texts that have grown, each with its token.
    async function grow(texts) {
        const drawn = texts.filter((text) => !text.isFull).map((text) => [text, text.draw()]);
        const grown = drawn.filter(([, id]) => id !== 0);
        await Promise.all(grown.map(([text, id]) => text.append(id)));
        return grown;
    }

    // Buttons that let the texts grow, and the sliders of the choice.
    function buttons(place, texts, controls) {
        place.innerHTML = `
            <div class="buttons">
                <button type="button" name="one">One token</button>
                <button type="button" name="on">Keep writing</button>
                <button type="button" name="again">Start over</button>
            </div>
            <div class="sliders"></div>
            <p role="status" class="news"></p>`;
        const form = place.closest("form");
        const news = place.querySelector(".news");
        const onButton = place.querySelector("[name=on]");
        let isWriting = false;
        const tell = (message) => (news.textContent = message);
        for (const text of texts) text.tell = tell;
        const actor = (text) => (texts.length > 1 ? text.name : "The model");
        const stopped = () => (texts.every((text) => text.isFull) ? full() : END);

        async function one() {
            const grown = await grow(texts);
            const added = grown.map(([text, id]) => `${actor(text)} added “${text.show(id)}”`);
            tell(added.length ? `${added.join(", ")}.` : stopped());
        }

        // Draw token after token, until it is stopped, the texts end, or another one is typed.
        async function on() {
            if (isWriting) return void (isWriting = false); // the loop below sees it
            isWriting = true;
            onButton.textContent = "Stop";
            beQuiet(true);
            const { prompt } = texts[0];
            let [growing, written] = [texts, 0];
            while (isWriting && texts[0].prompt === prompt) {
                growing = (await grow(growing)).map(([text]) => text);
                if (!growing.length) break;
                written += 1;
                await pause(PACE);
            }
            isWriting = false;
            onButton.textContent = "Keep writing";
            beQuiet(false);
            tell(growing.length ? `Added ${written} tokens.` : stopped());
        }

        // Nobody wants to hear the sentences of every token.
        function beQuiet(isQuiet) {
            for (const status of form.querySelectorAll("[role=status]:not(.news)")) {
                status.ariaLive = isQuiet ? "off" : "polite";
            }
        }

        async function again() {
            isWriting = false;
            await Promise.all(texts.map((text) => text.set({ wanted: [], at: null })));
            tell("Back to your own text.");
        }

        const does = { one, on, again };
        place.addEventListener("click", ({ target }) => does[target.name]?.());
        return settings(place.querySelector(".sliders"), texts, controls);
    }

    function write(place, text, { controls }) {
        place.innerHTML = "<div></div><div></div>";
        const updates = [story(place.firstElementChild, text)];
        updates.push(buttons(place.lastElementChild, [text], controls));
        return () => updates.forEach((update) => update(text));
    }

    // Each model with its next tokens and its story, in a column of its own.
    function beside(place, text, { controls, others }) {
        const texts = [text, ...others];
        place.innerHTML = `<div></div><div class="columns"></div>`;
        for (const each of texts) {
            const column = document.createElement("div");
            column.innerHTML = `<section class="next"></section><div></div>`;
            place.lastElementChild.append(column);
            const options = { isSmall: true, isOwn: true, title: each.name };
            each.onChange(liveViews.next(column.firstElementChild, each, options));
            each.onChange(story(column.lastElementChild, each, `The text of ${each.name}`));
        }
        const update = buttons(place.firstElementChild, texts, controls);
        others.forEach((other) => other.changed());
        return update;
    }

    Object.assign(liveViews, { write, beside });
})();
