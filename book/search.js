// What mdBook's search finds, in another order: sections with the very words come first, and none
// of the solutions comes at all.
(() => {
    "use strict";

    if (!window.elasticlunr) return;
    const plain = (text) => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, " ").trim();
    const load = elasticlunr.Index.load.bind(elasticlunr.Index);
    elasticlunr.Index.load = (data) => {
        const index = load(data);
        const search = index.search.bind(index);
        const bodies = {};
        const bodyOf = ({ ref }) =>
            (bodies[ref] ??= plain(index.documentStore.getDoc(ref).body));
        const isOpen = ({ ref }) => !window.search.doc_urls[ref].endsWith("#the-solution");
        index.search = (words, options) => {
            const phrase = plain(words);
            const found = search(words, options).filter(isOpen);
            const isExact = found.map((section) => bodyOf(section).includes(phrase));
            return [true, false].flatMap((wanted) => found.filter((_, i) => isExact[i] === wanted));
        };
        return index;
    };
})();
