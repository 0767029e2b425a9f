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
        // GPT-2's pattern. JavaScript's \s isn't Unicode's white space, so that is spelled out.
        this.pattern = new RegExp(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+" +
                "|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
            "gu",
        );
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

    encode(text) {
        const ids = [];
        text.split(this.special).forEach((part, place) => {
            if (place > 0) ids.push(0);
            for (const [word] of part.matchAll(this.pattern)) ids.push(...this.encodeWord(word));
        });
        return ids;
    }

    // Merge the most important pair, again and again, until none is left.
    encodeWord(word) {
        let ids = this.known.get(word);
        if (ids) return ids;
        let parts = Array.from(new TextEncoder().encode(word), (byte) => this.letters[byte]);
        for (;;) {
            let best = Infinity;
            for (let i = 0; i + 1 < parts.length; i += 1) {
                best = Math.min(best, this.ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity);
            }
            if (best === Infinity) break;
            const merged = [];
            for (let i = 0; i < parts.length; i += 1) {
                if (this.ranks.get(`${parts[i]} ${parts[i + 1]}`) === best) {
                    merged.push(parts[i] + parts[(i += 1)]);
                } else {
                    merged.push(parts[i]);
                }
            }
            parts = merged;
        }
        ids = parts.map((part) => this.ids.get(part));
        this.known.set(word, ids);
        return ids;
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
