// Byte-level BPE, as in step 05: text to ids and back, like the tokenizers library.
// The files of book/live are classic scripts, not modules, since a page opened from a file can't
// load modules. The worker is made from the text of these classes (see live.js), so each class
// uses only what is inside it or another class of the worker.
"use strict";

class LiveTokenizer {
    // `merges` has one pair a line, the most important first. The vocabulary follows from them:
    // <|endoftext|> is 0, then come the 256 bytes, then one token for each pair.
    constructor(merges) {
        this.special = "<|endoftext|>";
        this.letters = LiveTokenizer.byteLetters(); // byte -> the letter that stands for it
        this.bytes = new Map(this.letters.map((letter, byte) => [letter, byte]));
        const pairs = merges.split("\n");
        this.ranks = new Map(pairs.map((pair, rank) => [pair, rank]));
        const single = [...this.letters].sort((a, b) => a.codePointAt() - b.codePointAt());
        this.tokens = [this.special, ...single, ...pairs.map((pair) => pair.replace(" ", ""))];
        this.ids = new Map(this.tokens.map((token, id) => [token, id]));
        this.known = new Map(); // the ids of words that were encoded before
    }

    // GPT-2 writes each byte as a visible letter: itself where it has a glyph, else from 256 on.
    static byteLetters() {
        const isVisible = (byte) =>
            (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
        let next = 256;
        return Array.from({ length: 256 }, (_, byte) =>
            String.fromCodePoint(isVisible(byte) ? byte : next++),
        );
    }

    // The pieces of a text, by GPT-2's pattern. JavaScript's \s isn't Unicode's white space, so that
    // is spelled out.
    static split(text) {
        const pattern = new RegExp(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+" +
                "|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
            "gu",
        );
        return text.match(pattern) ?? [];
    }

    // A piece in the letters of its bytes.
    static spell(piece) {
        const letters = LiveTokenizer.byteLetters();
        return Array.from(new TextEncoder().encode(piece), (byte) => letters[byte]);
    }

    // The tokens with a pair, "a b", joined from left to right.
    static join(tokens, pair) {
        const joined = [];
        for (const token of tokens) {
            if (`${joined.at(-1)} ${token}` === pair) joined.push(joined.pop() + token);
            else joined.push(token);
        }
        return joined;
    }

    encode(text) {
        const ids = [];
        text.split(this.special).forEach((part, place) => {
            if (place > 0) ids.push(0);
            for (const word of LiveTokenizer.split(part)) ids.push(...this.encodeWord(word));
        });
        return ids;
    }

    // Merge the most important pair, again and again, until none is left.
    encodeWord(word) {
        let ids = this.known.get(word);
        if (ids) return ids;
        let parts = LiveTokenizer.spell(word);
        for (let best; (best = this.first(parts)); ) parts = LiveTokenizer.join(parts, best);
        ids = parts.map((part) => this.ids.get(part));
        this.known.set(word, ids);
        return ids;
    }

    // The pair of neighbours with the lowest rank, if any has one.
    first(parts) {
        const pairs = parts.slice(1).map((part, place) => `${parts[place]} ${part}`);
        const rank = (pair) => this.ranks.get(pair) ?? Infinity;
        return pairs.reduce((one, other) => (rank(other) < rank(one) ? other : one), "");
    }

    decode(ids) {
        return ids
            .map((id) => (id === 0 ? [0] : id))
            .reduce((runs, id) => {
                if (Array.isArray(id)) runs.push(this.special, []);
                else runs.at(-1).push(...this.bytesOf(id));
                return runs;
            }, [[]])
            .map((run) => (run === this.special ? run : LiveTokenizer.text(run)))
            .join("");
    }

    bytesOf(id) {
        return Array.from(this.tokens[id], (letter) => this.bytes.get(letter));
    }

    static text(bytes) {
        return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
    }

    // How one token is shown: spaces and line ends made visible, and bytes that are no whole
    // character as hexadecimal numbers.
    show(id) {
        if (id === 0) return this.special;
        const bytes = this.bytesOf(id);
        const text = LiveTokenizer.text(bytes);
        if (!text.includes("\uFFFD")) return text.replaceAll(" ", "␣").replaceAll("\n", "↵");
        return bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
    }
}
