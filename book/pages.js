// The search of the pages that `tutor book` builds without mdBook: a box at the top of each page.
(() => {
    "use strict";

    const { plain, first } = courseSearch;
    const MOST = 20; // results that are shown

    // The sections that have all the words, or words that begin like them. A mistake of this name
    // comes first, then headings with the very words, then texts with them.
    function find(sections, words) {
        const phrase = plain(words);
        const has = (text) => phrase.split(" ").every((word) => ` ${text}`.includes(` ${word}`));
        let found = phrase ? sections.filter(({ text }) => has(text)) : [];
        found = first(found, ({ text }) => text.includes(phrase));
        found = first(found, ({ heading }) => plain(heading).includes(phrase));
        return first(found, ({ mistakes }) => mistakes.map(plain).includes(phrase));
    }

    function load() {
        const script = document.createElement("script");
        script.src = "search-index.js";
        const loaded = new Promise((resolve) => script.addEventListener("load", resolve));
        document.head.append(script);
        return loaded.then(() =>
            window.courseIndex.map(([url, chapter, heading, body, mistakes]) => ({
                url, chapter, heading, mistakes, text: plain(`${chapter} ${heading} ${body}`),
            })),
        );
    }

    function link({ url, chapter, heading }) {
        const item = document.createElement("li");
        const anchor = item.appendChild(document.createElement("a"));
        anchor.href = url;
        anchor.textContent = heading === chapter ? chapter : `${chapter}: ${heading}`;
        return item;
    }

    const form = document.createElement("form");
    form.setAttribute("role", "search");
    form.innerHTML = `<label>Search <input type="search" autocomplete="off"></label>
        <p role="status"></p><ol></ol>`;
    const [input, status, list] = ["input", "p", "ol"].map((tag) => form.querySelector(tag));
    let sections;

    async function show() {
        sections ??= load();
        const found = find(await sections, input.value);
        const shown = found.slice(0, MOST);
        list.replaceChildren(...shown.map(link));
        const count = `${found.length} section${found.length === 1 ? "" : "s"}`;
        const more = found.length > MOST ? `, the first ${MOST} of them here` : "";
        status.textContent = plain(input.value) ? `${count} found${more}` : "";
    }

    input.addEventListener("input", show);
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        await show();
        list.querySelector("a")?.click();
    });
    form.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        input.value = "";
        input.focus();
        show();
    });
    document.addEventListener("keydown", (event) => {
        const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
        if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key !== "s" && event.key !== "/") return;
        event.preventDefault();
        input.focus();
    });
    document.querySelector("header").append(form);
})();
