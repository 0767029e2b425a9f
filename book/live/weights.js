// The weights as tools/book/pack_model.py wrote them: whole numbers, times a step for each tensor.
"use strict";

class LiveWeights {
    // A Float32Array for each name, from the packed weights of a model in window.courseModels.
    static async unpack({ tensors, packed }) {
        const zipped = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt());
        const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
        const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
        const upper = new Int8Array(bytes.buffer); // first all upper bytes, then all lower ones
        const lower = bytes.subarray(bytes.length / 2);
        const found = {};
        let at = 0;
        for (const [name, count, step] of tensors) {
            found[name] = new Float32Array(count);
            for (let i = 0; i < count; i += 1, at += 1) {
                found[name][i] = step * (256 * upper[at] + lower[at]);
            }
        }
        return found;
    }
}
