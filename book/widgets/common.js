// What the widgets share. A chapter has <figure class="widget" data-widget="NAME"> with a table in
// it, the fallback; the widget in src/widgets/NAME.js takes its place, and is loaded only there.
// Without scripts, or without data, the table stays.
"use strict";

const courseWidgets = (() => {
    // Let `build` fill a form for each figure of a widget, and put it before the caption.
    function define(name, data, build) {
        if (!data) return;
        for (const figure of document.querySelectorAll(`figure.widget[data-widget="${name}"]`)) {
            const form = emptyForm();
            build(form, data, figure);
            figure.insertBefore(form, figure.querySelector("figcaption"));
            figure.querySelectorAll(".fallback").forEach((fallback) => fallback.remove());
        }
    }

    document.addEventListener("DOMContentLoaded", () => {
        const figures = [...document.querySelectorAll("figure.widget[data-widget]")];
        for (const name of new Set(figures.map((figure) => figure.dataset.widget))) {
            const script = document.createElement("script");
            script.src = `widgets/${name}.js`;
            document.head.append(script);
        }
    });

    function emptyForm() {
        const form = document.createElement("form");
        form.addEventListener("submit", (event) => event.preventDefault());
        // Keys turn mdBook's pages and open its search, a swipe its contents; not from in here.
        form.addEventListener("keydown", (event) => event.stopPropagation());
        form.addEventListener("touchmove", (event) => event.stopPropagation(), { passive: true });
        return form;
    }

    // HTML of a slider. It is named as the parameter that it sets.
    function slider(name, { min = 0, max, step = 1, value }) {
        const range = `min="${min}" max="${max}" step="${step}" value="${value}"`;
        return `<div class="control">
            <label><code>${name}</code> <input type="range" name="${name}" ${range}></label>
            <span class="value"></span>
        </div>`;
    }

    // Say in words what a slider is set to.
    function say(form, name, words) {
        const input = form.elements[name];
        input.setAttribute("aria-valuetext", words);
        input.closest(".control").querySelector(".value").textContent = words;
    }

    // HTML of a list to choose from; the value is the number of the choice.
    function choice(name, label, entries, chosen = 0) {
        const options = entries.map((entry, i) => {
            const selected = i === chosen ? " selected" : "";
            return `<option value="${i}"${selected}>${entry}</option>`;
        });
        return `<div class="control">
            <label>${label} <select name="${name}">${options.join("")}</select></label>
        </div>`;
    }

    // HTML of chips, one of which is chosen: radio buttons, so that the arrow keys walk over them.
    function chips(name, legend, contents, chosen = 0) {
        const labels = contents.map((content, i) => {
            const checked = i === chosen ? " checked" : "";
            const input = `<input type="radio" name="${name}" value="${i}"${checked}>`;
            return `<label class="chip">${input}${content}</label>`;
        });
        return `<fieldset class="chips"><legend>${legend}</legend>${labels.join("")}</fieldset>`;
    }

    // A token with its spaces and line ends made visible.
    function visible(token) {
        return token.replaceAll(" ", "␣").replaceAll("\n", "↵");
    }

    // The tokens of a piece of text, side by side; the one that was just added stands out.
    function drawPiece(tokens, added) {
        const piece = element("span", "piece", "");
        piece.append(
            ...tokens.map((token) => element("span", token === added ? "token here" : "token", token)),
        );
        return piece;
    }

    function element(tag, className, text) {
        return Object.assign(document.createElement(tag), { className, textContent: text });
    }

    return { chips, choice, define, drawPiece, element, form: emptyForm, say, slider, visible };
})();
