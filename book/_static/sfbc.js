// Code that scrolls sideways must be reachable by keyboard. The theme sees to that when a page is loaded or its window
// changes; code that was folded away had no width then, so it is looked at again whenever its own size changes.
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
  }
});
document.addEventListener("DOMContentLoaded", () => {
  for (const code of document.querySelectorAll("pre")) {
    observer.observe(code);
  }
});
