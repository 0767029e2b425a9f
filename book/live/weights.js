// The weights as tools/book/pack_model.py wrote them: the checkpoint's own float16 numbers.
"use strict";

class LiveWeights {
    // A Float32Array for each name, from the packed weights of window.courseModel.
    static async unpack({ tensors, packed }) {
        const zipped = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt());
        const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
        const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
        const total = bytes.length / 2; // first all upper bytes, then all lower ones
        const floats = LiveWeights.everyFloat16();
        const found = {};
        let at = 0;
        for (const [name, count] of tensors) {
            found[name] = new Float32Array(count);
            for (let i = 0; i < count; i += 1, at += 1) {
                found[name][i] = floats[(bytes[at] << 8) | bytes[total + at]];
            }
        }
        return found;
    }

    // What each of the 65,536 patterns of 16 bits means: a sign, 5 bits of exponent, 10 of fraction.
    static everyFloat16() {
        return Float32Array.from({ length: 65536 }, (_, bits) => {
            const exponent = (bits >> 10) & 31;
            const fraction = (bits & 1023) / 1024;
            const size = exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14;
            return bits >> 15 ? -size : size;
        });
    }
}
