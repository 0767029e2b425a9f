// The live figures of the pages: <figure class="widget live" data-live="prompt tokens next">. What
// is in it stands in until the model is there, and without scripts.
"use strict";

(() => {
    const STATE = ["text", "more", "off", "head", "at", "temperature", "top_k", "top_p"];
    const LOOKING = ["mask", "heads", "path", "flow", "stages", "places"]; // parts about one of the tokens
    const LINK = "#live&";
    const MEGABYTES = 5; // of a model, as a server compresses it
    const CONTROLS = "temperature top_k top_p";

    // What a link says: #live&text=…&more=12.345&off=3.0,2&head=3.0&at=4&temperature=0.8
    function stateOfLink() {
        if (!location.hash.startsWith(LINK)) return {};
        const fields = new URLSearchParams(location.hash.slice(LINK.length));
        return Object.fromEntries(STATE.map((name) => [name, fields.get(name) ?? undefined]));
    }

    function linkOf(text) {
        const { temperature, topK, topP } = text.settings;
        const fields = new URLSearchParams({ text: text.prompt });
        if (text.wanted.length) fields.set("more", text.wanted.join("."));
        if (text.off.length) fields.set("off", text.off.join(","));
        if (text.at !== null) fields.set("at", text.at);
        fields.set("head", text.head.join("."));
        fields.set("temperature", temperature);
        if (topK < Infinity) fields.set("top_k", topK);
        if (topP < 1) fields.set("top_p", topP);
        return `${LINK}${fields}`;
    }

    // Numbers of a list; what isn't a whole number from 0 to the last is left out.
    const wholes = (list, last) =>
        list.split(".").filter((each) => /^\d+$/.test(each) && each <= last).map(Number);

    // What a text is made from, or made into, by its figure and by a link.
    function stateOf(figure, said) {
        const { dataset } = figure;
        const { n_layer, n_head, vocab_size } = LiveText.config;
        const number = (name, fallback, least, most) => {
            const value = Number(said[name] ?? dataset[name.replace("_", "")] ?? fallback);
            return value >= least && value <= most ? value : fallback;
        };
        const head = wholes(said.head ?? dataset.head ?? "", Math.max(n_layer, n_head) - 1);
        const isPart = (part) => /^[0-5](\.([0-5]|attn|mlp))?$/.test(part);
        return {
            prompt: said.text ?? dataset.text ?? "Once upon a time there was a",
            wanted: wholes(said.more ?? "", vocab_size - 1),
            off: (said.off ?? "").split(",").filter(isPart),
            head: head.length === 2 ? head : [3, 0],
            at: wholes(said.at ?? dataset.at ?? "", 255)[0] ?? null,
            settings: {
                temperature: number("temperature", 0.8, 0, 2),
                topK: number("top_k", Infinity, 1, Infinity),
                topP: number("top_p", 1, 0.05, 1),
            },
        };
    }

    // The first is that which the parts look into.
    const modelsOf = (figure) => (figure.dataset.models ?? "fairy-tales").split(" ");

    async function wake(figure, form, state) {
        const parts = figure.dataset.live.split(" ");
        const models = modelsOf(figure);
        const controls = (figure.dataset.controls ?? CONTROLS).split(" ").filter(Boolean);
        const [isSmall, isLens, switches] = ["small", "lens", "switches"].map(
            (name) => name in figure.dataset,
        );
        const isLookedInto = parts.some((name) => LOOKING.includes(name));
        form.innerHTML = `<p role="status">Loading the model …</p>`;
        try {
            for (const model of models) await LiveText.load(model);
        } catch (error) {
            form.innerHTML = `<p role="status">The model can't be run here: ${error.message}.</p>`;
            return;
        }
        figure.querySelectorAll(".fallback").forEach((fallback) => fallback.remove());
        const made = stateOf(figure, state);
        const [text, ...others] = models.map((model) => new LiveText({ model, ...made }));
        await Promise.all([text, ...others].map((each) => each.read()));
        form.innerHTML = parts.map((name) => `<section class="${name}"></section>`).join("");
        parts.forEach((name) => {
            const place = form.querySelector(`section.${name}`);
            place.dataset.number = Math.random();
            const options = { controls, isLens, isLookedInto, isSmall, others, switches };
            const update = liveViews[name](place, text, options);
            text.onChange(update);
        });
        if ("state" in figure.dataset) {
            keepInLink(form, text);
            addEventListener("hashchange", () => {
                if (location.hash.startsWith(LINK)) text.set(stateOf(figure, stateOfLink()));
                figure.scrollIntoView();
            });
        } else addCloser(form, text);
        text.changed();
        // Another width has room for other maps, and another theme has other colours.
        new ResizeObserver(() => text.changed()).observe(form);
        new MutationObserver(() => text.changed()).observe(document.documentElement, {
            attributeFilter: ["class"],
        });
    }

    // A link to the playground, which opens with the same text.
    function addCloser(form, text) {
        const link = document.createElement("a");
        link.className = "closer";
        link.textContent = "Look closer in the playground";
        form.append(link);
        text.onChange(() => (link.href = `playground.html${linkOf(text)}`));
    }

    // The address follows what is seen, so that a copy of it brings somebody else here.
    function keepInLink(form, text) {
        const row = document.createElement("div");
        row.className = "buttons";
        row.innerHTML = `<button type="button">Copy a link to this</button><span role="status"></span>`;
        form.append(row);
        let waiting;
        text.onChange(() => {
            clearTimeout(waiting); // browsers refuse too many changes in a short time
            waiting = setTimeout(() => history.replaceState(null, "", linkOf(text)), 300);
        });
        row.querySelector("button").addEventListener("click", async () => {
            history.replaceState(null, "", linkOf(text));
            const copied = await navigator.clipboard?.writeText(location.href).then(
                () => true,
                () => false,
            );
            row.querySelector("span").textContent = copied
                ? "Copied."
                : "Copy the address of this page: it holds everything you see.";
        });
    }

    for (const figure of document.querySelectorAll("figure.live")) {
        const form = courseWidgets.form();
        const state = "state" in figure.dataset ? stateOfLink() : {};
        const size = MEGABYTES * modelsOf(figure).length;
        form.innerHTML = `<button type="button" class="wake">${figure.dataset.wake ??
            "Run the model here"} <small>${size} MB, then no network</small></button>`;
        form.querySelector("button").addEventListener("click", () => wake(figure, form, state));
        figure.insertBefore(form, figure.querySelector("figcaption"));
        const isOnPaper = location.pathname.endsWith("/print.html"); // all chapters at once
        if ("now" in figure.dataset && !isOnPaper) wake(figure, form, state);
    }
})();
