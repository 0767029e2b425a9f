// A text that the model reads and continues: its tokens, and what the model makes of them. The
// views of a page show it, and hear of each change.
"use strict";

class LiveText {
    static NAMES = { "fairy-tales": "GPT-2", "llama-tales": "Llama" };
    static #ready = {}; // by name, the models that are asked for
    static #waiting = new Map(); // calls that the worker has not answered
    static #made = 0;

    #number = (LiveText.#made += 1);
    #views = [];
    #ticket = 0;
    #shares = []; // of what the worker has read last

    ids = [];
    version = 0; // of what the model has read
    shares = []; // by token, block and head: the weights of attention, see model.js

    // `wanted` are ids after those of the prompt, `off` parts that are switched off, `at` is the
    // token that is looked at, or null for the last.
    constructor({ model, prompt, wanted, off, head, at, settings }) {
        Object.assign(this, { model, prompt, wanted, off, head, at, settings });
    }

    set(state) {
        Object.assign(this, state);
        return this.read();
    }

    // Load a model: the weights are a script, since a page that is opened from a file can load
    // nothing else. All models have one tokenizer, and see as many tokens.
    static load(name) {
        LiveText.#ready[name] ??= (async () => {
            await new Promise((done, failed) => {
                const script = document.createElement("script");
                script.src = `live/${name}.js`;
                script.onload = done;
                script.onerror = () => failed(new Error(`${script.getAttribute("src")} is missing`));
                document.head.append(script);
            });
            const packed = window.courseModels[name];
            LiveText.tokenizer ??= new LiveTokenizer(packed.merges);
            LiveText.config ??= packed.config;
            LiveText.worker ??= LiveText.#start();
            await LiveText.#ask("load", { name, packed });
            delete packed.packed; // the worker has it
        })();
        return LiveText.#ready[name];
    }

    // The worker, made from the text of our own classes, for the same reason.
    static #start() {
        const classes = [LiveWeights, LiveModel, LiveGPT2, LiveLlama, LiveWorker].map(String);
        const source = [...classes, "LiveWorker.serve(self);"].join("\n");
        const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
        const worker = new Worker(address);
        worker.onmessage = ({ data: { call, found, error } }) => {
            const [done, failed] = LiveText.#waiting.get(call);
            LiveText.#waiting.delete(call);
            if (error) failed(new Error(error));
            else done(found);
        };
        return worker;
    }

    static #ask(name, details) {
        const call = (LiveText.#made += 1);
        return new Promise((done, failed) => {
            LiveText.#waiting.set(call, [done, failed]);
            LiveText.worker.postMessage({ call, name, details });
        });
    }

    onChange(view) {
        this.#views.push(view);
    }

    changed() {
        for (const view of this.#views) view(this);
    }

    // The token that is looked at: the chosen one, or the last.
    get place() {
        return Math.min(this.at ?? Infinity, this.ids.length - 1);
    }

    get isFull() {
        return this.ids.length >= LiveText.config.n_positions;
    }

    // What the pages call the model.
    get name() {
        return LiveText.NAMES[this.model];
    }

    show(id) {
        return LiveText.tokenizer.show(id);
    }

    // Let the model read the text as it is now. It keeps what it knows of the beginning.
    async read() {
        const { n_positions } = LiveText.config;
        const own = LiveText.tokenizer.encode(this.prompt);
        if (!own.length) own.push(0); // the end of another text is where a text begins
        this.given = Math.min(own.length, n_positions);
        const ids = [...own, ...this.wanted].slice(0, n_positions);
        const ticket = (this.#ticket += 1);
        const found = await LiveText.#ask("read", {
            text: this.#number,
            model: this.model,
            ids,
            off: this.off,
        });
        this.#shares = [...this.#shares.slice(0, found.from), ...found.rows];
        if (ticket !== this.#ticket) return; // the text has changed again
        const { from, logits, whole: unchanged, ms } = found;
        Object.assign(this, { ids, from, logits, ms, shares: this.#shares, whole: unchanged });
        this.version += 1;
        const { PLAIN, probabilities, ranked } = courseSampling;
        this.order = ranked(this.logits);
        const whole = this.whole ?? this.logits;
        const order = this.whole ? ranked(whole) : this.order;
        const { weights } = probabilities(order.map((id) => whole[id]), PLAIN);
        this.own = new Map(order.map((id, rank) => [id, weights[rank]])); // without settings
        this.choose();
        this.changed();
    }

    // Work out what each token is drawn with.
    choose() {
        const sorted = this.order.map((id) => this.logits[id]);
        this.next = courseSampling.probabilities(sorted, this.settings);
    }

    draw() {
        return this.order[courseSampling.draw(this.next.weights)];
    }

    append(id) {
        this.wanted = [...this.wanted, id];
        this.at = null;
        return this.read();
    }

    // The path of the token that is looked at, through all blocks.
    look() {
        const position = this.place;
        const next = this.ids[position + 1];
        return LiveText.#ask("look", { text: this.#number, position, next });
    }

    // The numbers at a box of the tokens from … to, a row for each.
    inside(box, layer, [from, to]) {
        return LiveText.#ask("inside", { text: this.#number, box, layer, from, to });
    }

    // What comes next if the tokens are told these positions.
    moved(places) {
        return LiveText.#ask("moved", { model: this.model, ids: this.ids, places });
    }

    // The numbers of the token that is looked at, at several boxes of a block.
    stages(boxes, layer) {
        return LiveText.#ask("stages", { text: this.#number, boxes, layer, position: this.place });
    }
}
