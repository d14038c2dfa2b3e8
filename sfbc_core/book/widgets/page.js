/* What the explorers' pages share: elements, looks, and the two hosts. plot.js and
 * address.js come before it in the module.
 *
 * A widget's module defines `mount(host, data, state, onChange)`, which returns { update, destroy }, and ends with
 *
 *   const { mountStatic, render } = hosts(mount, ["alpha", …], parsers);   // the names of the synchronised Python traits
 *   export default { render };
 *
 * Sections: 1 elements and looks, 2 the hosts.
 */

// ---- 1. Elements and looks -------------------------------------------------------------------------------------

/* Own colours on an own background: legible on any host's card, in light and in dark. */
const STYLE = `
.sfbc-static-widget { scroll-margin-top: 4.5rem; } /* below the header of the book */
html[data-theme="dark"] .bd-content div.cell_output .text_html:has(> .sfbc-static-widget) {
  background: transparent !important; padding: 0; /* the book's theme puts HTML outputs on a light card */
}
.sfbc-explorer {
  --text: #1f2328; --muted: #656d76; --axis: #8c959f; --back: #ffffff; --edge: #c9d1d9; --focus: #0b62b8;
  --law: #0b62b8; --law-fill: #8ab8e6; --best: #b3261e; --q: #1a7f37; --exact: #a34a00;
  container: sfbc / inline-size; box-sizing: border-box; width: 100%; max-width: 860px; margin: 4px 0 12px; padding: 12px; border: 1px solid var(--edge);
  border-radius: 6px; color: var(--text); background: var(--back); font: 14px/1.5 system-ui, sans-serif;
}
.sfbc-explorer[data-dark="true"] {
  --text: #e6edf3; --muted: #9aa4af; --axis: #7d8590; --back: #16191f; --edge: #3d444d; --focus: #7cb7f5;
  --law: #5fa8f5; --law-fill: #2f6299; --best: #ff8f80; --q: #6fd08c; --exact: #ffb066;
}
.sfbc-explorer *, .sfbc-explorer *::before { box-sizing: border-box; }
.sfbc-explorer p { margin: 0 0 8px; color: inherit; font-size: inherit; }
.sfbc-explorer .sfbc-title { font-weight: 700; font-size: 15px; }
.sfbc-explorer .sfbc-control { display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: center; margin: 4px 0; }
.sfbc-explorer label { flex: 0 0 190px; margin: 0; font-weight: 600; color: inherit; }
.sfbc-explorer input[type="range"] { flex: 1 1 180px; min-width: 0; margin: 6px 0; accent-color: var(--law); }
.sfbc-explorer :is(select, button) {
  flex: 0 1 auto; min-width: 0; max-width: 100%; min-height: 28px; margin: 0; padding: 3px 8px; font: inherit; color: inherit;
  background: var(--back); border: 1px solid var(--axis); border-radius: 4px;
}
.sfbc-explorer button { cursor: pointer; }
.sfbc-explorer button:hover { border-color: var(--focus); }
.sfbc-explorer button[aria-pressed="true"] { border-color: var(--law); box-shadow: inset 0 -3px var(--law); }
.sfbc-explorer .sfbc-buttons { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin: 6px 0; }
.sfbc-explorer .sfbc-switch { display: none; }
.sfbc-explorer .sfbc-value { flex: 0 0 56px; text-align: right; font-variant-numeric: tabular-nums; }
.sfbc-explorer .sfbc-plots { display: flex; flex-wrap: wrap; gap: 12px 20px; margin: 10px 0 8px; }
.sfbc-explorer .sfbc-plot { flex: 1 1 310px; min-width: 0; }
.sfbc-explorer .sfbc-caption { font-weight: 600; }
.sfbc-explorer canvas { display: block; width: 100%; height: ${PLOT_HEIGHT}px; border-radius: 4px; }
.sfbc-explorer canvas[tabindex] { cursor: crosshair; }
.sfbc-explorer :is(canvas, input, select, button):focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.sfbc-explorer ul { display: flex; flex-wrap: wrap; gap: 0 14px; margin: 4px 0 0; padding: 0; font-size: 13px; }
.sfbc-explorer li { display: flex; align-items: center; gap: 6px; margin: 0; padding: 0; list-style: none; }
.sfbc-explorer li::before { content: ""; flex: none; width: 18px; border-top: 3px solid var(--mark); }
.sfbc-explorer li[data-mark="dash"]::before { border-top-style: dashed; border-top-width: 2px; }
.sfbc-explorer li[data-mark="fill"]::before { height: 11px; border: 0; background: var(--mark); }
.sfbc-explorer li[data-mark="dot"]::before { width: 7px; height: 7px; border: 0; border-radius: 50%; background: var(--mark); }
.sfbc-explorer li[data-mark="tick"]::before { width: 2px; height: 8px; border: 0; background: var(--mark); }
.sfbc-explorer .sfbc-summary { margin: 0; font-variant-numeric: tabular-nums; }
@container sfbc (max-width: 460px) { /* a phone: controls, one plot at a time and its legend on one screen */
  .sfbc-explorer .sfbc-control { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 8px; margin: 2px 0; }
  .sfbc-explorer input[type="range"] { grid-column: 1 / -1; grid-row: 2; width: 100%; margin: 2px 0; }
  .sfbc-explorer select { max-width: 190px; }
  .sfbc-explorer .sfbc-switch { display: flex; }
  .sfbc-explorer .sfbc-switch + .sfbc-plots > :not([data-shown="true"]), .sfbc-explorer .sfbc-switch + .sfbc-plots .sfbc-caption { display: none; }
  .sfbc-explorer canvas { height: 190px; }
  .sfbc-explorer .sfbc-plots { margin: 4px 0; }
  .sfbc-explorer :is(ul, .sfbc-summary, .sfbc-plot p) { font-size: 12px; }
}
`;

/** A new element with properties, attributes (where the name holds a dash or is "role"/"for") and children. */
function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/-|^(role|for|tabindex)$/.test(name)) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/** A list that says what the marks of a plot mean: [mark, colour variable, text]. */
function legend(...items) {
  return element("ul", {}, ...items.map(([mark, color, text]) => {
    const item = element("li", { "data-mark": mark }, text);
    item.style.setProperty("--mark", `var(--${color})`);
    return item;
  }));
}

/** A row of buttons: [text, what a click does]. */
function buttonRow(label, ...items) {
  return element("div", { className: "sfbc-buttons", role: "group", "aria-label": label },
    ...items.map(([text, onclick]) => element("button", { type: "button", onclick }, text)));
}

/** Plots side by side, [name, ...children] each; where there is no room for two, one of them with buttons to choose it by. */
function plotArea(...plots) {
  const boxes = plots.map(([, ...children]) => element("div", { className: "sfbc-plot" }, ...children));
  const choose = (chosen) => boxes.forEach((box, i) => {
    box.dataset.shown = String(i === chosen);
    row.children[i].setAttribute("aria-pressed", String(i === chosen));
  });
  const row = buttonRow("Plot", ...plots.map(([name], i) => [name, () => choose(i)]));
  row.classList.add("sfbc-switch");
  choose(0);
  return [row, element("div", { className: "sfbc-plots" }, ...boxes)];
}

/** Does the page around the widget show its dark theme? The book, JupyterLab, Colab and VS Code each say it in a way. */
function pageIsDark() {
  const { dataset: { theme }, classList } = document.documentElement, body = document.body;
  const stated = theme ?? document.documentElement.getAttribute("theme");
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (stated === "dark" || stated === "light") return stated === "dark";
  if (body.classList.contains("vscode-dark") || classList.contains("dark")) return true;
  if (body.classList.contains("vscode-light")) return false;
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The colours of STYLE as they are in the page's theme; --law-fill is lawFill. */
function themeColors(root) {
  root.dataset.dark = String(pageIsDark());
  const computed = getComputedStyle(root);
  const names = ["text", "muted", "axis", "back", "law", "law-fill", "best", "q", "exact"];
  return Object.fromEntries(names.map((name) =>
    [name.replace(/-(\w)/, (_, letter) => letter.toUpperCase()), computed.getPropertyValue(`--${name}`).trim()]));
}

/** A slider with its label and the place where its value is shown. */
function labelledSlider(id, text, max) {
  const input = element("input", { id, type: "range", min: 0, max, step: 1 });
  // Hidden from screen readers, which hear the same from aria-valuetext; an <output> would be announced once more.
  const value = element("span", { className: "sfbc-value", "aria-hidden": "true" });
  const row = element("div", { className: "sfbc-control" }, element("label", { for: id }, text), input, value);
  return { row, input, value };
}

/** A drop-down with its label; `options` maps values to texts. */
function labelledSelect(id, text, options) {
  const input = element("select", { id },
    ...Object.entries(options).map(([value, shown]) => element("option", { value }, shown)));
  return { row: element("div", { className: "sfbc-control" }, element("label", { for: id }, text), input), input };
}

/**
 * Let the reader choose a cell of a map of nx by ny cells, x to the right and y upwards, by a click or with the keys.
 * @param {function} plotOf Returns the plot that was drawn last, whose coordinates are cells, or null.
 * @param {function} position Returns the chosen cell as [x, y].
 * @param {function} choose Called with a cell within the map.
 */
function makeNavigable(canvas, hint, nx, ny, plotOf, position, choose) {
  canvas.setAttribute("role", "application"); // the arrow keys belong to the map: a screen reader passes them on
  canvas.setAttribute("aria-describedby", hint.id);
  canvas.tabIndex = 0;
  canvas.addEventListener("click", (event) => {
    const plot = plotOf(), box = canvas.getBoundingClientRect();
    if (!plot) return;
    const x = Math.round(plot.xAt(event.clientX - box.left)), y = Math.round(plot.yAt(event.clientY - box.top));
    if (x >= 0 && x < nx && y >= 0 && y < ny) choose(x, y);
  });
  canvas.addEventListener("keydown", (event) => {
    const [x, y] = position();
    const target = {
      ArrowLeft: [x - 1, y], ArrowRight: [x + 1, y], ArrowUp: [x, y + 1], ArrowDown: [x, y - 1],
      Home: [0, y], End: [nx - 1, y], PageUp: [x, ny - 1], PageDown: [x, 0],
    }[event.key];
    if (!target || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // or the page scrolls
    const clip = (index, size) => Math.min(size - 1, Math.max(0, index));
    choose(clip(target[0], nx), clip(target[1], ny));
  });
}

/** Draw again, once a frame at most, and when the theme or the size changes; keep the widget's keys in the widget. */
function followPage(root, draw) {
  let scheduled = 0;
  const redraw = () => {
    scheduled ||= requestAnimationFrame(() => {
      scheduled = 0;
      draw();
    });
  };
  // JupyterLab and some book themes listen for these keys on the whole page.
  root.addEventListener("keydown", (event) => {
    if (/^(Arrow|Home|End|Page)/.test(event.key)) event.stopPropagation();
  });
  const themeWatch = new MutationObserver(redraw);
  for (const node of [document.documentElement, document.body]) {
    themeWatch.observe(node, { attributes: true, attributeFilter: ["data-theme", "theme", "class", "data-jp-theme-light"] });
  }
  const preference = window.matchMedia("(prefers-color-scheme: dark)");
  preference.addEventListener("change", redraw);
  const sizeWatch = new ResizeObserver(redraw);
  for (const node of [root, ...root.querySelectorAll("canvas")]) sizeWatch.observe(node); // a plot also when it appears
  const stop = () => {
    themeWatch.disconnect();
    sizeWatch.disconnect();
    preference.removeEventListener("change", redraw);
    cancelAnimationFrame(scheduled);
    root.remove();
  };
  return { redraw, stop };
}

// ---- 2. The hosts ----------------------------------------------------------------------------------------------

/**
 * The two ways in which a widget gets onto a page.
 * @param {string[]} synced The names of the synchronised Python traits.
 * @param {function} [parsers] From `data` to a function for each trait that the page's address may set: see address.js.
 */
function hosts(mount, synced, parsers = () => ({})) {
  /** The static page: data and state are in a JSON script element beside the host. */
  function mountStatic(id) {
    const { data, state } = JSON.parse(document.getElementById(`${id}-data`).textContent);
    const host = document.getElementById(id), address = addressOf(host, parsers(data));
    const explorer = mount(host, data, { ...state, ...address.read() }, address.write);
    address.follow(explorer.update);
    return explorer;
  }

  /** anywidget: the Python traits and the state follow each other. */
  function render({ model, el }) {
    const fromModel = () => Object.fromEntries(synced.map((name) => [name, model.get(name)]));
    const explorer = mount(el, model.get("data"), fromModel(), (state) => {
      for (const name of synced) model.set(name, state[name]);
      model.save_changes();
    });
    const pull = () => explorer.update(fromModel());
    for (const name of synced) model.on(`change:${name}`, pull);
    return () => {
      for (const name of synced) model.off(`change:${name}`, pull);
      explorer.destroy();
    };
  }
  return { mountStatic, render };
}

