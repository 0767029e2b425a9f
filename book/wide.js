// Wide code, tables and equations scroll by keys, and a link opens what it leads to.
(() => {
    "use strict";

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
    for (const wide of document.querySelectorAll("main :is(pre > code, .table-wrapper, .equation)")) {
        observer.observe(wide);
        // There they scroll; on the page mdBook turns it with them.
        wide.addEventListener("keydown", (event) => {
            if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
                event.stopPropagation();
            }
        });
    }

    // A link into something folded unfolds it, in every browser.
    const unfold = () => {
        const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
        const folded = target?.closest("details:not([open])");
        if (folded) {
            folded.open = true;
            target.scrollIntoView();
        }
    };
    addEventListener("hashchange", unfold);
    unfold();
})();
