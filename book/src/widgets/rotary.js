// Rotary positions: the pairs of a head as dials, each with a hand for the query and one for the key.
"use strict";

(() => {
    const { define, say, slider } = courseWidgets;
    const [PAIRS, BASE, REACH] = [4, 10000, 34]; // of a head of 8, and of a hand
    const SPEEDS = Array.from({ length: PAIRS }, (_, i) => BASE ** (-i / PAIRS));

    const degrees = (radians) => {
        const found = ((radians * 180) / Math.PI) % 360;
        return `${found.toFixed(found < 10 ? 2 : 0)}°`;
    };
    const hand = (name) => `<line class="${name}" x2="${REACH}"/>`;
    const dial = (i) => `<figure><svg viewBox="-40 -40 80 80" role="img">
        <circle r="37"/>${hand("key")}${hand("query")}</svg>
        <figcaption>pair ${i}<br><span></span></figcaption></figure>`;

    define("rotary", {}, (form) => {
        form.innerHTML = `
            ${slider("position", { max: 200, value: 3 })}
            ${slider("distance", { max: 40, value: 2 })}
            <div class="dials">${SPEEDS.map((_, i) => dial(i)).join("")}</div>
            <p role="status"></p>
            <p class="note">Hands: <span class="query">query</span>, <span class="key">key</span>.
                The position is that of the key; the query stands at a distance after it.</p>`;
        const dials = [...form.querySelectorAll(".dials figure")];
        const turn = (line, angle) =>
            line.setAttribute("transform", `rotate(${((-angle * 180) / Math.PI).toFixed(3)})`);

        function show() {
            const key = Number(form.elements.position.value);
            const query = key + Number(form.elements.distance.value);
            say(form, "position", `${key}`);
            say(form, "distance", `${query - key}`);
            SPEEDS.forEach((speed, i) => {
                turn(dials[i].querySelector(".key"), key * speed);
                turn(dials[i].querySelector(".query"), query * speed);
                const between = degrees((query - key) * speed);
                dials[i].querySelector("span").textContent = `${between} apart`;
                dials[i].querySelector("svg").setAttribute(
                    "aria-label", `Pair ${i}: the query is ${between} ahead of the key`);
            });
            const score = SPEEDS.reduce((sum, speed) => sum + Math.cos((query - key) * speed), 0);
            form.querySelector("[role=status]").textContent =
                `The query at ${query}, the key at ${key}. If every pair of both is a hand of ` +
                `length 1, their score is ${score.toFixed(3).replace("-", "−")}, ` +
                `at distance ${query - key} wherever they stand.`;
        }

        form.addEventListener("input", show);
        show();
    });
})();
