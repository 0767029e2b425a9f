// What mdBook 0.5 leaves out for those who use the keyboard or a screen reader.
(() => {
    "use strict";

    // The switch of the contents is a label: no key reaches it, and its name is not read out.
    const toggle = document.getElementById("mdbook-sidebar-toggle");
    toggle.setAttribute("role", "button");
    toggle.tabIndex = 0;
    toggle.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
            event.preventDefault();
            toggle.click();
        }
    });

    // The titles of the neighbours, which look.css shows, for those who listen.
    for (const link of document.querySelectorAll(".mobile-nav-chapters")) {
        const side = link.classList.contains("next") ? "::before" : "::after";
        link.ariaLabel += `: ${JSON.parse(getComputedStyle(link, side).content)}`;
    }
})();
