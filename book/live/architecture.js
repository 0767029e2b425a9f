// The architecture map: <figure class="architecture"> with a plan for each family of models, whose
// boxes are links. Here they become radio buttons, and what is known of the chosen one stands
// beside the plan. The view "flow" of inside.js adds the numbers of a text.
"use strict";

const courseArchitecture = { box: "wte", size: courseBoxes.SIZES[0], words: "" };

(() => {
    const { SIZES, OF_BLOCKS, count, find, measure, radio } = courseBoxes;
    const { count: grouped, percent } = courseSampling;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)");

    const shape = (letters) => `<code>[${letters.join(", ")}]</code>`;
    const sizes = (letters, size) => letters.map((each) => grouped(measure(each, size))).join(" × ");

    // What the letters of some shapes stand for; B and T come with the text.
    function legend(words, size) {
        const used = [...new Set(words.match(/[A-Z](?![a-z])/g) ?? [])];
        return used.filter((letter) => letter in size)
            .map((letter) => `<i>${letter}</i> = ${grouped(size[letter])}`).join(", ");
    }

    function parametersOf(box, size) {
        if (!box.parameters.length) return box.tied ? "none of its own" : "none";
        const lines = box.parameters.map(([name, letters]) =>
            `<li><code>${name}</code> ${shape(letters)}, ${sizes(letters, size)}</li>`);
        const of = percent(box.total / count(size).all);
        const times = box.isInBlock ? ` in each of ${size.N} blocks` : "";
        return `<strong>${grouped(box.count)}</strong>${times}: ${of} of the model
            <ul>${lines.join("")}</ul>`;
    }

    function start(figure) {
        const form = courseWidgets.form();
        const plans = [...figure.querySelectorAll(".plan")];
        const names = SIZES.map(({ name }) => name);
        form.innerHTML = `
            <div class="size">${courseWidgets.chips("size", "Size", names)}</div>
            <p class="all"></p>
            <div class="plans"></div>
            <div class="known"><p class="title"></p><p role="status"></p>
                <dl><dt>Shapes</dt><dd class="shapes"></dd>
                    <dt>Parameters</dt><dd class="parameters"></dd></dl>
                <div class="equations"></div>
                <p class="chapter"></p></div>`;
        const part = (name) => form.querySelector(name);
        figure.prepend(form);
        part(".plans").append(...plans);
        for (const plan of plans) {
            for (const link of plan.querySelectorAll("a")) {
                const label = radio(link, `box-${plan.dataset.family}`);
                label.insertAdjacentHTML("beforeend", `<i class="share"></i>`);
            }
            plan.querySelectorAll(".box").forEach((box, i) => box.style.setProperty("--order", i));
        }
        let chosen = courseArchitecture.box; // what is shown while nothing is pointed at
        const boxOf = (name) =>
            form.querySelector(`[name=box-${courseArchitecture.size.family}][value="${name}"]`);

        function show(name) {
            const { size } = courseArchitecture;
            const input = boxOf(name) ?? boxOf("wte");
            const label = input.parentElement;
            const box = find(size, input.value);
            courseArchitecture.box = input.value;
            const words = label.cloneNode(true);
            words.querySelectorAll("input, .share").forEach((each) => each.remove());
            courseArchitecture.words = words.innerHTML;
            part(".title").innerHTML = words.innerHTML;
            part("[role=status]").textContent = box.says;
            const known = legend(box.shape, size);
            part(".shapes").innerHTML = `<code>${box.shape}</code>${known && `; ${known}`}`;
            part(".parameters").innerHTML = parametersOf(box, size);
            const equation = figure.querySelector(`[data-equation="${box.equation}"]`);
            part(".equations").replaceChildren(...(equation ? [equation.content.cloneNode(true)] : []));
            const { chapter } = label.dataset;
            const [track, number] = chapter.split(/[_.]/);
            part(".chapter").innerHTML =
                `<a href="${chapter}">Write it in ${track} ${number}</a>`;
            form.querySelectorAll(".box").forEach((each) =>
                each.classList.toggle("shown", each === label));
            figure.dispatchEvent(new Event("choose"));
        }

        function resize() {
            const size = SIZES[form.elements.size.value];
            courseArchitecture.size = size;
            const { all, block } = count(size);
            part(".all").innerHTML = `<strong>${grouped(all)}</strong> parameters: ` +
                `${size.N} blocks of ${grouped(block)}, and ${grouped(all - size.N * block)} ` +
                "outside of them. The bars under the boxes are their shares.";
            for (const plan of plans) {
                plan.hidden = plan.dataset.family !== size.family;
                if (plan.hidden) continue;
                const blocks = OF_BLOCKS[size.family];
                plan.querySelector(".name").innerHTML =
                    `<code>${blocks}.0</code> to <code>${blocks}.${size.N - 1}</code>`;
                for (const input of plan.querySelectorAll("input")) {
                    const share = find(size, input.value).total / all;
                    input.parentElement.style.setProperty("--share", share.toFixed(4));
                }
            }
            if (!boxOf(chosen)) chosen = "wte"; // which every family has
            boxOf(chosen).checked = true;
            show(chosen);
        }

        form.addEventListener("change", ({ target }) => {
            if (target.name === "size") return resize();
            chosen = target.value;
            show(chosen);
        });
        const plansPart = part(".plans");
        plansPart.addEventListener("pointermove", ({ target, pointerType, movementX, movementY }) => {
            const name = target.closest(".box")?.firstElementChild.value;
            const isMoved = movementX || movementY; // and the page wasn't just scrolled
            if (pointerType === "mouse" && isMoved && name && name !== courseArchitecture.box) {
                show(name);
            }
        });
        plansPart.addEventListener("pointerleave", () => show(chosen));
        figure.addEventListener("flow", () => {
            if (isStill.matches) return;
            plansPart.classList.remove("flowing");
            void plansPart.offsetWidth; // so that it begins anew
            plansPart.classList.add("flowing");
        });
        resize();
    }

    for (const figure of document.querySelectorAll("figure.architecture")) start(figure);
})();
