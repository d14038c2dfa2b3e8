/* The value explorer: move the axes of a table of value maps. See value_explorer.py for the Python side; plot.js and
 * page.js, which come before this in one module, have what the explorers share.
 *
 * Sections: 1 the table, 2 drawing, 3 the widget. Section 1 touches no page and is tested under Node against NumPy.
 * The state of a widget is { position, row, column }: the names of the Python traits.
 */

// ---- 1. The table ----------------------------------------------------------------------------------------------

/** The row of a table with the given axis lengths (last axis fastest); an axis of length 1 stands for all positions. */
export function tableRow(shape, position) {
  return shape.reduce((row, length, axis) => row * length + Math.min(position[axis], length - 1), 0);
}

/** The value of one cell along one axis, the others as they are. */
export function alongAxis(table, shape, position, axis, cells, cell) {
  return Array.from({ length: shape[axis] }, (_, i) => {
    const there = position.map((index, k) => (k === axis ? i : index));
    return table[tableRow(shape, there) * cells + cell];
  });
}

// ---- 2. Drawing ------------------------------------------------------------------------------------------------

// Matplotlib's viridis, which stays ordered in grey and for all common kinds of colour blindness.
const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [110, 206, 88],
  [181, 222, 43], [253, 231, 37],
];
const viridis = (fraction) => blend(VIRIDIS, fraction);
const ARROWS = [[0, 1], [1, 0], [0, -1], [-1, 0]]; // up, right, down, left, as ACTIONS of sfbc_core.tabular

/** Dark on bright cells, white on dark ones. */
const inkOn = ([red, green, blue]) => (0.3 * red + 0.6 * green + 0.1 * blue > 130 ? "#000" : "#fff");

/** The maze: a colour for every free cell, an arrow for its action, letters where given. Returns its plot. */
function drawMaze(canvas, colors, { data, cellAt, values, arrows, row, column }) {
  const [height, width] = data.grid, [low, high] = data.limits;
  const square = 66 + ((canvas.clientHeight - 52) * width) / height; // where the plot ends if cells are square
  const plot = startPlot(canvas, colors, [-0.5, width - 0.5], [-0.5, height - 0.5], Math.max(84, canvas.clientWidth - square));
  if (!plot) return null;
  const { context } = plot, cellWidth = plot.width / width, cellHeight = plot.height / height;
  const size = Math.min(cellWidth, cellHeight);
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) {
      const x = plot.x(c), y = plot.y(height - 1 - r), cell = cellAt[r * width + c];
      const color = cell < 0 ? null : viridis((values[cell] - low) / (high - low));
      context.fillStyle = color ? `rgb(${color})` : colors.muted;
      context.fillRect(x - cellWidth / 2, y - cellHeight / 2, cellWidth + 0.5, cellHeight + 0.5);
      const letter = data.letters.find(([lr, lc]) => lr === r && lc === c)?.[2];
      if (letter) drawText(plot, letter, x, y, "center", color ? inkOn(color) : colors.back);
      const arrow = color && !letter && arrows ? ARROWS[arrows[cell]] : null;
      if (!arrow) continue;
      const [dx, dy] = arrow.map((step) => step * size * 0.26), ink = inkOn(color);
      const head = [[x + dx * 0.2 - dy * 0.5, y - dy * 0.2 - dx * 0.5], [x + dx, y - dy], [x + dx * 0.2 + dy * 0.5, y - dy * 0.2 + dx * 0.5]];
      drawLine(plot, [[x - dx, y + dy], [x + dx, y - dy]], ink);
      drawLine(plot, head, ink);
    }
  }
  drawMarker(plot, plot.x(column), plot.y(height - 1 - row), Math.min(7, 0.4 * size));
  drawColorBar(plot, viridis, data.limits, data.value_label);
  return plot;
}

/** The value of the chosen cell along the first axis, and its reference. */
function drawCurve(canvas, colors, { data, curve, reference, index }) {
  const all = reference === null ? curve : [...curve, reference];
  const top = Math.max(...all, data.limits[0] + 1e-9), bottom = Math.min(...all, 0);
  const pad = 0.06 * (top - bottom || 1), last = curve.length - 1;
  const plot = startPlot(canvas, colors, [-0.3, last + 0.3], [bottom - pad, top + pad], 12);
  if (!plot) return;
  if (reference !== null) {
    drawLine(plot, [[plot.left, plot.y(reference)], [plot.right, plot.y(reference)]], colors.exact, { width: 2, dash: [6, 4] });
  }
  drawLine(plot, curve.map((value, i) => [plot.x(i), plot.y(value)]), colors.law, { width: 2 });
  curve.forEach((value, i) => {
    const size = i === index ? 5 : 3;
    plot.context.fillStyle = i === index ? colors.best : colors.law;
    plot.context.fillRect(plot.x(i) - size, plot.y(value) - size, 2 * size, 2 * size);
  });
  const [name, labels] = data.axes[0], every = Math.ceil(labels.length / tickCount(plot.width, 30));
  const shown = labels.map((label, i) => ({ label, x: plot.x(i) })).filter((_, i) => i % every === 0);
  drawXAxis(plot, shown, name);
  const ticks = niceTicks(bottom - pad, top + pad, 5).map((tick) => ({ ...tick, y: plot.y(tick.value) }));
  drawYAxis(plot, ticks, data.value_label);
}

// ---- 3. The widget ---------------------------------------------------------------------------------------------

/**
 * Put an explorer into an element.
 * @param {Element} host Its content is replaced.
 * @param {object} data The `data` trait of the Python class.
 * @param {object} initial Values of the state.
 * @param {function} [onChange] Called with the state after the reader, not the program, has changed it.
 * @returns {{ update: function, destroy: function }} `update(patch)` sets parts of the state.
 */
export function mount(host, data, initial, onChange) {
  const prefix = `sfbc-values-${Math.random().toString(36).slice(2)}`; // several modules share one page
  const [height, width] = data.grid, cells = data.cells.length;
  const shape = data.axes.map(([, labels]) => labels.length);
  const table = unpackRows(data.values, cells);
  const reference = data.reference ? { table: unpackRows(data.reference.values, cells), shape: data.reference.shape } : null;
  const arrows = data.arrows ? Uint8Array.from(atob(data.arrows), (character) => character.charCodeAt(0)) : null;
  const cellAt = new Int32Array(height * width).fill(-1);
  data.cells.forEach(([r, c], cell) => { cellAt[r * width + c] = cell; });
  const state = { ...initial };
  let mazePlot = null;

  const controls = data.axes.map(([name, labels], axis) => (data.menus.includes(name)
    ? labelledSelect(`${prefix}-${axis}`, name, { ...labels })
    : labelledSlider(`${prefix}-${axis}`, name, labels.length - 1)));
  const maze = element("canvas"), curve = element("canvas", { role: "img" });
  const hint = element("p", { id: `${prefix}-hint` },
    "Click the map, or focus it and use the arrow keys, to choose a cell.");
  const curveCaption = element("div", { className: "sfbc-caption" });
  const summary = element("p", { className: "sfbc-summary", role: "status", "aria-live": "polite" });
  const curveLegend = legend(
    ["line", "law", "the chosen cell"],
    ["dot", "best", "the position of the slider"],
    ...(reference ? [["dash", "exact", data.reference.label]] : []),
  );
  const root = element("section",
    { className: "sfbc-explorer", role: "group", "aria-labelledby": `${prefix}-title`, "data-lm-suppress-shortcuts": "true" },
    element("style", {}, STYLE),
    element("p", { id: `${prefix}-title`, className: "sfbc-title" }, data.title),
    ...controls.map(({ row }) => row),
    ...plotArea(
      ["Map", element("div", { className: "sfbc-caption" }, data.map_label), maze, hint],
      ["The chosen cell", curveCaption, curve, curveLegend]),
    summary,
  );

  function draw() {
    const colors = themeColors(root), { position, row, column } = state;
    const start = tableRow(shape, position) * cells, cell = cellAt[row * width + column];
    const values = table.subarray(start, start + cells);
    mazePlot = drawMaze(maze, colors, { data, cellAt, values, arrows: arrows?.subarray(start, start + cells), row, column });
    const settings = data.axes.map(([name, labels], axis) => `${name}: ${labels[position[axis]]}`).join(", ");
    let text = `${settings}. `;
    if (cell < 0) {
      text += `Row ${row + 1}, column ${column + 1} is a wall.`;
      curve.getContext("2d").clearRect(0, 0, curve.width, curve.height);
    } else {
      const best = reference ? reference.table[tableRow(reference.shape, position) * cells + cell] : null;
      drawCurve(curve, colors, {
        data, curve: alongAxis(table, shape, position, 0, cells, cell), reference: best, index: position[0],
      });
      const shown = (value) => formatNumber(roundToRange(value, data.limits));
      text += `${data.value_label} at row ${row + 1}, column ${column + 1}: ${shown(values[cell])}`;
      text += best === null ? "." : `; ${data.reference.label}: ${shown(best)}.`;
    }
    curveCaption.textContent = `Row ${row + 1}, column ${column + 1}`;
    summary.textContent = text;
    maze.setAttribute("aria-label", `${data.map_label}. ${text}`);
    curve.setAttribute("aria-label", `${data.value_label} of the chosen cell against ${data.axes[0][0]}. ${text}`);
    Object.assign(root.dataset, {
      position: position.join(","), row, column, value: cell < 0 ? "" : values[cell].toFixed(6), ready: "true",
    });
  }

  const { redraw, stop } = followPage(root, draw);

  function update(patch) {
    Object.assign(state, patch);
    controls.forEach(({ input, value }, axis) => {
      const label = data.axes[axis][1][state.position[axis]];
      input.value = state.position[axis];
      if (!value) return; // a menu shows its own value
      input.setAttribute("aria-valuetext", label);
      value.textContent = label;
    });
    redraw();
  }

  function changedByReader(patch) {
    update(patch);
    onChange?.({ ...state });
  }

  controls.forEach(({ input }, axis) => input.addEventListener("input", () =>
    changedByReader({ position: state.position.map((index, k) => (k === axis ? Number(input.value) : index)) })));
  makeNavigable(maze, hint, width, height, () => mazePlot, () => [state.column, height - 1 - state.row],
    (x, y) => changedByReader({ row: height - 1 - y, column: x }));

  host.replaceChildren(root); // only now: had anything above failed, the still picture would have stayed
  update({});
  return { update, destroy: stop };
}

/** What the page's address may say about the state: what the Python traits would accept. */
export const valueParsers = ({ axes, grid: [height, width] }) => ({
  position: parseEach(axes.map(([, labels]) => parseWhole(0, labels.length - 1))),
  row: parseWhole(0, height - 1),
  column: parseWhole(0, width - 1),
});

const { mountStatic, render } = hosts(mount, ["position", "row", "column"], valueParsers);
export default { render };
