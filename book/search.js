// What a search finds, in a better order: sections with the very words come first. The solutions are
// in no index.
const courseSearch = (() => {
    "use strict";

    // The words of a text, as a search compares them.
    const plain = (text) => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, " ").trim();

    // The sections for which this is true, then the others, each in their order.
    const first = (sections, isFirst) => {
        const marks = sections.map(isFirst);
        return [true, false].flatMap((wanted) => sections.filter((_, i) => marks[i] === wanted));
    };

    return { plain, first };
})();

// mdBook's search.
(() => {
    "use strict";

    if (!window.elasticlunr) return;
    const { plain, first } = courseSearch;
    const load = elasticlunr.Index.load.bind(elasticlunr.Index);
    elasticlunr.Index.load = (data) => {
        const index = load(data);
        const search = index.search.bind(index);
        const bodies = {};
        const bodyOf = ({ ref }) =>
            (bodies[ref] ??= plain(index.documentStore.getDoc(ref).body));
        index.search = (words, options) => {
            const phrase = plain(words);
            return first(search(words, options), (found) => bodyOf(found).includes(phrase));
        };
        return index;
    };
})();
