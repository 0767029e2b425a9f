// The parts of the live figures: each fills a place once, and returns what brings it up to date.
"use strict";

const liveViews = (() => {
    const { describe, percent } = courseSampling;
    const SCALES = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1]; // what a full bar can mean
    const [SHOWN, FEW] = [10, 6]; // next tokens, on a page of their own and on a small one
    const NAMED = 3; // so many of the largest weights are said in words
    const AXES = "a row for each query, a column for each key";
    const EXAMPLES = [
        "Once upon a time there was a",
        "The witch gave Hansel an apple, and Hansel ate the apple.",
        "The king's daughter was as beautiful as the",
        "“Who are you?” asked the",
    ];

    const range = (length) => Array.from({ length }, (_, i) => i);
    const escape = (text) =>
        text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
    function signed(value) {
        const size = Math.abs(value).toFixed(1);
        const sign = value < 0 ? "−" : "+";
        return size === "0.0" ? size : `${sign}${size}`;
    }
    // An update that does nothing while its key stays the same.
    function whenChanged(key, update) {
        let last;
        return (text) => {
            const now = key(text);
            if (now !== last) update(text);
            last = now;
        };
    }

    // A box to type in, and texts to begin with. `others` are texts of other models.
    function prompt(place, text, { isSmall, others }) {
        const examples = (isSmall ? [] : EXAMPLES).map((example) => `<button type="button">${example}</button>`);
        place.innerHTML = `
            <label class="typed"><span class="title">Your text</span>
                <textarea name="prompt" rows="${isSmall ? 1 : 2}" spellcheck="false" maxlength="1500"></textarea>
            </label>
            <div class="examples" role="group" aria-label="Or begin with">${examples.join("")}</div>`;
        const area = place.querySelector("textarea");
        area.value = text.prompt;
        let waiting;
        const take = (typed) => {
            for (const each of [text, ...others]) each.set({ prompt: typed, wanted: [], at: null });
        };
        area.addEventListener("input", () => {
            clearTimeout(waiting);
            waiting = setTimeout(() => take(area.value), 120);
        });
        place.addEventListener("click", ({ target }) => {
            if (target.type !== "button") return;
            area.value = target.textContent;
            take(area.value);
        });
        return () => {
            if (document.activeElement !== area) area.value = text.prompt;
        };
    }

    // The tokens as chips with their ids; one of them is looked at.
    function tokens(place, text, { isLookedInto }) {
        place.innerHTML = `
            <fieldset class="chips">
                <legend class="title">Tokens <span class="note"></span></legend>
            </fieldset>`;
        const chips = place.querySelector(".chips");
        const note = place.querySelector(".note");
        const name = `token-${Math.random()}`;
        let shown = [];
        if (!isLookedInto) chips.tabIndex = 0; // so that keys can scroll it
        chips.addEventListener("change", ({ target }) => {
            text.at = Number(target.value);
            text.changed();
        });
        return () => {
            // Only what has changed is made anew, so that a chip keeps the focus.
            let same = 0;
            while (same < shown.length && shown[same] === text.ids[same]) same += 1;
            const labels = [...chips.querySelectorAll(".chip")];
            labels.slice(same).forEach((label) => label.remove());
            for (let i = same; i < text.ids.length; i += 1) {
                const label = document.createElement(isLookedInto ? "label" : "span");
                const input = `<input type="radio" name="${name}" value="${i}">`;
                label.innerHTML =
                    `${isLookedInto ? input : ""}<code>${escape(text.show(text.ids[i]))}</code>` +
                    `<small>${text.ids[i]}</small>`;
                chips.append(label);
            }
            shown = text.ids;
            if (text.at === null) chips.scrollTop = chips.scrollHeight;
            chips.querySelectorAll("legend ~ *").forEach((label, i) => {
                label.className = i < text.given ? "chip" : "chip written";
                if (isLookedInto) label.querySelector("input").checked = i === text.place;
            });
            note.textContent =
                `${text.ids.length} of at most ${LiveText.config.n_positions}, each with its id; ` +
                "␣ is a space." +
                (isLookedInto ? " Choose one to look into it." : "");
        };
    }

    // The most likely next tokens as bars; press one to choose it. If it `isOwn`, the
    // bars are the model's own probabilities, whatever the settings.
    function next(place, text, { isSmall, isOwn, title = "What comes next?" }) {
        const rowCount = isSmall ? FEW : SHOWN;
        const row = `<li><button type="button"></button>
            <span class="bars" aria-hidden="true"><i class="bar"></i><i class="mark"></i></span>
            <span class="share"></span></li>`;
        place.innerHTML = `
            <p class="title">${title} <span class="note">Press a token to choose it.</span></p>
            <ol>${row.repeat(rowCount)}</ol>
            <p class="note scale"></p>
            <p class="summary" role="status"${isSmall ? " hidden" : ""}></p>`;
        const rows = [...place.querySelectorAll("li")];
        const [scale, summary] = [".scale", ".summary"].map((name) => place.querySelector(name));
        place.addEventListener("click", ({ target }) => {
            const rank = rows.findIndex((item) => item.contains(target));
            if (!target.closest("button") || text.isFull) return;
            const id = text.order[rank];
            text.append(id).then(() => text.tell?.(`You added “${text.show(id)}”.`));
        });
        return () => {
            const marks = text.order.slice(0, rowCount).map((id) => text.own.get(id));
            const weights = isOwn ? marks : text.next.weights;
            const most = Math.max(weights[0], ...marks);
            const full = SCALES.find((share) => share >= most) ?? 1;
            rows.forEach((item, rank) => {
                const isCut = weights[rank] === 0 && text.settings.temperature > 0;
                const [button, bars, share] = item.children;
                item.classList.toggle("cut", isCut);
                button.innerHTML = `<code>${escape(text.show(text.order[rank]))}</code>`;
                bars.querySelector(".bar").style.inlineSize = `${(100 * weights[rank]) / full}%`;
                bars.querySelector(".mark").style.insetInlineStart = `${(100 * marks[rank]) / full}%`;
                share.textContent = isCut ? "cut" : percent(weights[rank]);
            });
            place.classList.toggle("plain", isSmall && !text.whole);
            scale.textContent =
                `A full bar is ${Math.round(100 * full)}%. The marks show ` +
                (text.whole ? "the model with all its parts." : "the model's own probabilities.");
            summary.textContent = describe(text.next, text.settings);
        };
    }

    // As many tokens as a map has room for: the last ones, and always the chosen one.
    function windowOf(map, text) {
        const room = Math.max(8, Math.min(28, Math.floor((map.clientWidth - 70) / 14)));
        const count = text.ids.length;
        const to = text.at === null ? count : Math.min(count, Math.max(text.place + 1, room));
        return [Math.max(0, to - room), to];
    }

    // A map of tokens by tokens: a row for each query, and a cell for each key up to itself.
    function triangle(map, text, [from, to], cell) {
        const tokens = range(to - from).map((i) => from + i);
        const name = (i) => `<code>${escape(text.show(text.ids[i]))}</code>`;
        const rows = tokens.map((query) => {
            const cells = tokens.filter((key) => key <= query).map((key) => cell(query, key));
            const asking = query === text.place ? " asking" : "";
            return `<div class="row${asking}" data-token="${query}">${name(query)}
                ${cells.join("")}</div>`;
        });
        map.style.setProperty("--count", to - from);
        map.innerHTML = `<p class="keys"><span>key →<br>query ↓</span>
            ${tokens.map(name).join("")}</p>${rows.join("")}`;
    }

    function chooseByRow(map, text) {
        map.addEventListener("click", ({ target }) => {
            const at = target.closest("[data-token]")?.dataset.token;
            if (at === undefined) return;
            text.at = Number(at);
            text.changed();
        });
    }

    // The causal mask of the text, before there is any attention.
    function mask(place, text) {
        place.innerHTML = `
            <p class="title">What each token may see</p>
            <div class="map" role="img" aria-label="The causal mask: ${AXES}"></div>
            <p role="status" class="named"></p>`;
        const [map, named] = [".map", ".named"].map((name) => place.querySelector(name));
        chooseByRow(map, text);
        const key = () => [text.version, text.place, map.clientWidth].join();
        return whenChanged(key, () => {
            triangle(map, text, windowOf(map, text), () =>
                `<span class="cell" style="--weight:0.5"></span>`);
            const query = text.place;
            const later = text.ids.length - 1 - query;
            named.textContent =
                `“${text.show(text.ids[query])}” (${query}) sees ` +
                (query ? `keys 0 to ${query}` : "key 0, itself") +
                (later ? ` and none of the ${later} after it: those get −inf.` : ": all of them.");
        });
    }

    // All heads as little maps, and one of them large, with the switches of its parts.
    function heads(place, text, { switches }) {
        const { n_layer, n_head } = LiveText.config;
        const thumb = (layer, head) =>
            `<label><input type="radio" name="head" value="${layer}.${head}"
                aria-label="Block h.${layer}, head ${head}"><canvas></canvas></label>`;
        const row = (layer) =>
            `<div><span>h.${layer}</span>` +
            `${range(n_head).map((head) => thumb(layer, head)).join("")}</div>`;
        const named = ["", ...range(n_head)].map((head) => `<span>${head}</span>`);
        const box = (part) => `<label><input type="checkbox" name="off" value="${part}"></label>`;
        place.innerHTML = `
            <p class="title">What does each head look at?</p>
            <div class="looks">
                <div class="thumbs" role="radiogroup" aria-label="All heads">
                    <div aria-hidden="true" class="numbers">${named.join("")}</div>
                    ${range(n_layer).map(row).join("")}
                </div>
                <div class="large">
                    <p class="which"></p>
                    <div class="map" role="img"></div>
                </div>
            </div>
            <p role="status" class="named"></p>
            ${switches ? `<fieldset class="switches"><legend>Switch off</legend>
                ${["head", "attn", "mlp", "block"].map(box).join("")}
                <button type="button">All on again</button>
                <span class="off"></span></fieldset>` : ""}`;
        const [grid, map, named_, which, off] = [
            ".thumbs", ".map", ".named", ".which", ".off",
        ].map((selector) => place.querySelector(selector));
        const radios = [...grid.querySelectorAll("input")];
        for (const radio of radios) radio.name = `head-${place.dataset.number}`;
        const boxes = [...place.querySelectorAll("[name=off]")];

        grid.addEventListener("change", ({ target }) => {
            text.head = target.value.split(".").map(Number);
            text.changed();
        });
        chooseByRow(map, text);
        place.addEventListener("change", ({ target }) => {
            if (target.name !== "off") return;
            const others = text.off.filter((part) => part !== target.value);
            text.set({ off: target.checked ? [...others, target.value] : others });
        });
        place.querySelector("button")?.addEventListener("click", () => {
            text.set({ off: [] });
        });

        // A little map: the darker a point, the more the row's token looks at the column's.
        function paint(canvas, layer, head, [from, to], colour) {
            canvas.width = canvas.height = to - from;
            const context = canvas.getContext("2d");
            context.fillStyle = colour;
            for (let query = from; query < to; query += 1) {
                for (let key = from; key <= query; key += 1) {
                    context.globalAlpha = text.shares[query][layer][head][key];
                    context.fillRect(key - from, query - from, 1, 1);
                }
            }
        }

        const colour = () => getComputedStyle(grid).color;
        const key = () => [text.version, text.head, text.place, map.clientWidth, colour()].join();
        return whenChanged(key, () => {
            const [layer, head] = text.head;
            const query = text.place;
            const window_ = windowOf(map, text);
            for (const radio of radios) {
                const [l, h] = radio.value.split(".").map(Number);
                paint(radio.nextElementSibling, l, h, window_, colour());
                radio.checked = l === layer && h === head;
                const parts = [`${l}`, `${l}.attn`, `${l}.${h}`];
                radio.parentElement.classList.toggle(
                    "is-off",
                    parts.some((part) => text.off.includes(part)),
                );
            }
            triangle(map, text, window_, (i, j) => {
                const share = text.shares[i][layer][head][j];
                const title = i === query ? ` title="${share.toFixed(2)}"` : "";
                return `<span class="cell" style="--weight:${share.toFixed(3)}"${title}></span>`;
            });
            map.setAttribute("aria-label", `Head ${head} of h.${layer}: ${AXES}`);
            which.innerHTML = `Head <strong>${head}</strong> of block <strong>h.${layer}</strong>`;
            if (window_[1] - window_[0] < text.ids.length) {
                which.innerHTML += `, tokens ${window_[0]} to ${window_[1] - 1}`;
            }
            const shares = text.shares[query][layer][head];
            const largest = [...shares.keys()]
                .sort((a, b) => shares[b] - shares[a])
                .slice(0, NAMED)
                .map((key) => `${shares[key].toFixed(2)} to “${text.show(text.ids[key])}” (${key})`);
            named_.textContent =
                `Head ${head} of h.${layer}: “${text.show(text.ids[query])}” (${query}) gives ` +
                `${largest.join(", ")}.`;
            const parts = [
                [`${layer}.${head}`, `head ${head} of h.${layer}`],
                [`${layer}.attn`, `attention of h.${layer}`],
                [`${layer}.mlp`, `MLP of h.${layer}`],
                [`${layer}`, `all of h.${layer}`],
            ];
            boxes.forEach((input, i) => {
                input.value = parts[i][0];
                input.checked = text.off.includes(parts[i][0]);
                input.parentElement.lastChild.replaceWith(input, ` ${parts[i][1]}`);
            });
            if (off) {
                off.textContent = text.off.length ? `Off: ${text.off.map(called).join(", ")}.` : "";
            }
        });
    }

    // A part that is switched off, in words.
    function called(part) {
        const [layer, what] = part.split(".");
        if (what === undefined) return `h.${layer}`;
        return /\d/.test(what) ? `head ${what} of h.${layer}` : `${what} of h.${layer}`;
    }

    // The path of the chosen token: what the model would say after each block, and what moved the
    // logit of the token that comes next.
    function path(place, text, { isLens }) {
        const { n_layer, n_head } = LiveText.config;
        const heads = range(n_head).map((head) => `<th scope="col">${head}</th>`).join("");
        place.classList.toggle("lens", isLens);
        place.innerHTML = `
            <p class="title"></p>
            <div class="scrolled" tabindex="0" role="group" aria-label="The path of a token">
            <table>
                <thead>
                    <tr><th scope="col" rowspan="2">after</th>
                        <th scope="col" rowspan="2">the model would say</th>
                        <th scope="colgroup" colspan="${n_head + 1}" class="moved"></th></tr>
                    <tr>${heads}<th scope="col">MLP</th></tr>
                </thead><tbody></tbody></table></div>
            <p class="note"></p>`;
        const [title, moved, body, note] = [".title", ".moved", "tbody", ".note"].map((selector) =>
            place.querySelector(selector),
        );
        const cell = (value, most) => {
            const side = value < 0 ? "less" : "more";
            const strength = Math.min(1, Math.abs(value) / most).toFixed(2);
            return `<td class="${side}" style="--weight:${strength}">${signed(value)}</td>`;
        };
        const said = (level) =>
            `<td class="said">${level
                .map(({ id, share }) =>
                    `<span style="--weight:${share.toFixed(2)}"><code>${escape(text.show(id))}` +
                    `</code> <small>${percent(share)}</small></span>`)
                .join("")}</td>`;
        let asked = 0;
        const key = () => `${text.version} ${text.place}`;
        return whenChanged(key, async () => {
            const ticket = (asked += 1);
            const found = await text.look().catch(() => null); // the text has become shorter
            if (!found || ticket !== asked) return;
            const { levels, id, moves, position } = found;
            const token = escape(text.show(text.ids[position]));
            title.innerHTML = `The path of “<code>${token}</code>” (${position})`;
            moved.innerHTML = `moves the logit of “<code>${escape(text.show(id))}</code>”`;
            const all = [moves.start, ...moves.heads.flat(), ...moves.mlps];
            const most = Math.max(...all.map(Math.abs));
            const first = `<tr><th scope="row">start</th>${said(levels[0])}` +
                `${cell(moves.start, most).replace("<td", `<td colspan="${n_head + 1}"`)}</tr>`;
            const rows = range(n_layer).map((layer) =>
                `<tr><th scope="row">h.${layer}</th>${said(levels[layer + 1])}` +
                `${moves.heads[layer].map((value) => cell(value, most)).join("")}` +
                `${cell(moves.mlps[layer], most)}</tr>`);
            body.innerHTML = [first, ...rows].join("");
            const sum = all.reduce((total, value) => total + value, 0);
            note.innerHTML =
                `The parts add up to ${signed(sum)}, the biases to ${signed(moves.rest)}, ` +
                `so the logit of “<code>${escape(text.show(id))}</code>” is ${signed(sum + moves.rest)}. ` +
                (position + 1 < text.ids.length
                    ? "This token comes next in the text."
                    : "This is the most likely next token.");
        });
    }

    const parts = { escape, range, signed, whenChanged, windowOf };
    return { parts, prompt, tokens, next, mask, heads, path };
})();
