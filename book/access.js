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

    // Arrow keys scroll what has the focus; so what is wider than the page must be able to have it.
    const observer = new ResizeObserver((entries) => {
        for (const { target } of entries) {
            if (target.scrollWidth > target.clientWidth) {
                target.tabIndex = 0;
            } else {
                target.removeAttribute("tabindex");
            }
        }
    });
    for (const wide of document.querySelectorAll("main pre > code, main .table-wrapper")) {
        observer.observe(wide);
        // There they scroll; on the page mdBook turns it with them.
        wide.addEventListener("keydown", (event) => {
            if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
                event.stopPropagation();
            }
        });
    }

    // The titles of the neighbours, which look.css shows, for those who listen.
    for (const link of document.querySelectorAll(".mobile-nav-chapters")) {
        const side = link.classList.contains("next") ? "::before" : "::after";
        link.ariaLabel += `: ${JSON.parse(getComputedStyle(link, side).content)}`;
    }
})();
