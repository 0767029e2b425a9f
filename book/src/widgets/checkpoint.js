// From the names in a checkpoint to the boxes of the model that they fill, and back.
"use strict";

(() => {
    const { define, say, slider } = courseWidgets;
    const { BOXES, SIZES, radio } = courseBoxes;
    const boxes = { ...BOXES.gpt2.once, ...BOXES.gpt2.block };
    const ownName = (name) => name.replace(/^transformer\.(h\.\d+\.)?/, ""); // in its block
    const layerOf = (name) => /\.h\.(\d+)\./.exec(name)?.[1];
    const code = (text) => `<code>${text}</code>`;
    const shape = (sizes) => code(`[${sizes.join(", ")}]`);

    const BOX_OF = Object.fromEntries(
        Object.entries(boxes).flatMap(([box, { parameters = {} }]) =>
            Object.keys(parameters).map((name) => [name, box]),
        ),
    );

    // What becomes of a tensor on its way into the model.
    function way({ name, shape: stored, isTransposed }) {
        if (!isTransposed) return `${code(name)} stays as it is, ${shape(stored)}.`;
        const turned = [...stored].reverse();
        const square = stored[0] === stored[1] ? ", which the shape doesn't show" : "";
        return (
            `${code(name)} is ${shape(stored)} in the file and <strong>transposed</strong> to ` +
            `${shape(turned)}${square}.`
        );
    }

    define("checkpoint", window.courseData?.checkpoint, (form, { head, tensors }, figure) => {
        form.innerHTML = `
            ${slider("block", { max: SIZES[0].N - 1, value: 0 })}
            <div class="sides">
                <fieldset><legend>In the file</legend><ul class="plan names"></ul></fieldset>
                <fieldset><legend>In your model</legend></fieldset>
            </div>
            <div class="fills" role="status"></div>`;
        const [names, fills] = [".names", ".fills"].map((each) => form.querySelector(each));
        const plan = figure.querySelector("template").content.firstElementChild.cloneNode(true);
        form.querySelector("fieldset:last-child").append(plan);
        plan.querySelectorAll("a").forEach((link) => radio(link, "box"));
        // The table of the tokens fills two boxes, since the head is tied to it.
        const boxesOf = ({ name }) => [BOX_OF[ownName(name)], ...(name === head ? ["logits"] : [])];
        const filled = new Set(tensors.flatMap(boxesOf));
        for (const input of plan.querySelectorAll("input")) input.disabled = !filled.has(input.value);
        let chosen = { tensor: "attn.c_attn.weight" }; // or { box: … }

        // The tensors of the chosen block, and those outside of all blocks.
        function listed() {
            const { value } = form.elements.block;
            return tensors.filter(({ name }) => (layerOf(name) ?? value) === value);
        }

        function list() {
            const name = `h.${form.elements.block.value}`;
            say(form, "block", name);
            plan.querySelector(".name").innerHTML = code(name);
            names.innerHTML = listed()
                .map(({ name }) => `<li><label class="box">
                    <input type="radio" name="tensor" value="${name}">${code(name)}</label></li>`)
                .join("");
            show();
        }

        function show() {
            const { tensor, box } = chosen;
            const marked = listed().filter((each) =>
                tensor ? ownName(each.name) === tensor : boxesOf(each).includes(box),
            );
            const reached = tensor ? boxesOf(marked[0]) : [box];
            const isMarked = ({ name, value }) =>
                name === "box" ? reached.includes(value) : marked.some((each) => each.name === value);
            for (const input of form.querySelectorAll("[type=radio]")) {
                const { name, value } = input;
                input.parentElement.classList.toggle("shown", isMarked(input));
                input.checked = name === "box" ? value === box : ownName(value) === tensor;
            }
            const lines = reached.map((each) => {
                const label = plan.querySelector(`[value="${each}"]`).parentElement;
                return `<strong>${code(label.textContent.split(" ")[0])}</strong>: ${boxes[each].says}`;
            });
            fills.innerHTML = [...marked.map(way), ...lines].map((line) => `<p>${line}</p>`).join("");
        }

        form.addEventListener("change", ({ target: { name, value } }) => {
            if (name === "box") chosen = { box: value };
            if (name === "tensor") chosen = { tensor: ownName(value) };
            show();
        });
        form.elements.block.addEventListener("input", list);
        list();
    });
})();
