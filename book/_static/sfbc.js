// Whatever scrolls sideways must be reachable by keyboard, and must show that there is more to see. The theme sees to the
// keyboard when a page is loaded or its window changes, and for code alone; what was folded away had no width then, so all
// boxes are looked at again whenever their own size changes.
const SCROLLING =
  "pre, .cell_output, .cell_output .output, .pst-scrollable-table-container, div.math, div.math mjx-container, span.math";

function look(box) {
  if (box.matches("span.math")) {
    const formula = box.querySelector("mjx-container > svg");
    box.classList.toggle("wide", formula !== null && formula.getBoundingClientRect().width > box.clientWidth + 1);
  }
  const hidden = box.scrollWidth - box.clientWidth;
  const scrolls = hidden > 1 && ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
  const sides = [];
  if (scrolls && box.scrollLeft > 1) sides.push("left");
  if (scrolls && box.scrollLeft < hidden - 1) sides.push("right");
  if (scrolls) {
    box.dataset.more = sides.join(" ");
    box.tabIndex = 0;
  } else {
    delete box.dataset.more;
    if (box.matches("pre")) box.tabIndex = -1;
    else box.removeAttribute("tabindex");
  }
}

const observer = new ResizeObserver((entries) => entries.forEach(({ target }) => look(target)));

function watch() {
  for (const box of document.querySelectorAll(`article :is(${SCROLLING})`)) {
    observer.observe(box);
    box.addEventListener("scroll", () => look(box), { passive: true });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  watch();
  // Formulas are set after the page is there.
  window.MathJax?.startup?.promise?.then(watch);
});
