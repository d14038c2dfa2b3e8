/* The action explorer: move α and M, see which action SfBC selects. See explorer.py for the Python side.
 *
 * One module without dependencies, with two hosts (section 7):
 *   - anywidget, with a live kernel:  export default { render }
 *   - a static HTML page:             mountStatic(id), called by the fragment that Python writes
 *
 * Sections: 1 numerics, 2 sliders, 3 unpacking, 4 numbers as text, 5 drawing, 6 the widget, 7 the hosts.
 * Sections 1 to 4 touch no page and are tested under Node against NumPy.
 * The state of a widget is { alpha, num_candidates, x_index, y_index, map_mode }: the names of the Python traits.
 */

// ---- 1. Numerics -----------------------------------------------------------------------------------------------

/** Selection probabilities softmax(alpha * q); subtracting the largest q first keeps them finite for any alpha. */
export function softmaxWeights(q, alpha) {
  let largest = -Infinity;
  for (const value of q) largest = Math.max(largest, value);
  const weights = Float64Array.from(q, (value) => Math.exp(alpha * (value - largest)));
  let total = 0;
  for (const weight of weights) total += weight;
  return weights.map((weight) => weight / total);
}

/** Probabilities of the candidates of one state, and the numbers shown under the figure. */
export function summarize(actions, q, alpha) {
  const weights = softmaxWeights(q, alpha);
  let meanAction = 0, expectedQ = 0, sumOfSquares = 0, best = 0;
  for (let i = 0; i < weights.length; i++) {
    meanAction += weights[i] * actions[i];
    expectedQ += weights[i] * q[i];
    sumOfSquares += weights[i] ** 2;
    if (q[i] > q[best]) best = i;
  }
  return { weights, meanAction, expectedQ, best, bestAction: actions[best], ess: 1 / sumOfSquares };
}

/** One fixed number in (0, 1) for each state: a hash of its index, so that a sampled map does not flicker. */
export function stateUniform(index) {
  let bits = (index + 1) >>> 0;
  for (const [shift, factor] of [[16, 0x7feb352d], [15, 0x846ca68b], [16, 1]]) {
    bits = Math.imul(bits ^ (bits >>> shift), factor) >>> 0;
  }
  return (bits + 0.5) / 2 ** 32;
}

/** The candidate that a uniform number selects: the first whose cumulative probability exceeds it. */
export function sampleIndex(weights, uniform) {
  let cumulative = 0;
  for (let i = 0; i < weights.length; i++) {
    cumulative += weights[i];
    if (cumulative > uniform) return i;
  }
  return weights.length - 1; // the sum may fall short of 1 by rounding
}

/** The action that the map shows at one state; mode is "mean", "greedy" or "sampled". */
export function shownAction(actions, q, alpha, mode, stateIndex) {
  const { weights, meanAction, bestAction } = summarize(actions, q, alpha);
  if (mode === "greedy") return bestAction;
  return mode === "sampled" ? actions[sampleIndex(weights, stateUniform(stateIndex))] : meanAction;
}

/** Integral of the trapezoids from the first grid point up to every grid point. */
function cumulativeIntegral(grid, values) {
  const integral = new Float64Array(grid.length);
  for (let i = 1; i < grid.length; i++) {
    integral[i] = integral[i - 1] + ((values[i] + values[i - 1]) / 2) * (grid[i] - grid[i - 1]);
  }
  return integral;
}

/** The exact policy π ∝ μ exp(alpha Q) on a grid (Eq. 8), with its mean action and its expected Q. */
export function exactPolicy(grid, density, q, alpha) {
  let largest = -Infinity; // of Q where μ > 0: elsewhere it must not push all weights to zero
  for (let i = 0; i < q.length; i++) if (density[i] > 0) largest = Math.max(largest, q[i]);
  const tilted = density.map((mu, i) => (mu > 0 ? mu * Math.exp(alpha * (q[i] - largest)) : 0));
  const integrate = (values) => cumulativeIntegral(grid, values)[grid.length - 1];
  const mass = integrate(tilted);
  const policy = tilted.map((value) => value / mass);
  return {
    policy,
    meanAction: integrate(policy.map((value, i) => value * grid[i])),
    expectedQ: integrate(policy.map((value, i) => value * q[i])),
  };
}

/** Probability of each of `bins` equal bins on [low, high] under weighted candidates. */
export function binCandidates(actions, weights, low, high, bins) {
  const mass = new Float64Array(bins);
  for (let i = 0; i < weights.length; i++) {
    const bin = Math.floor(((actions[i] - low) / (high - low)) * bins);
    mass[Math.min(bins - 1, Math.max(0, bin))] += weights[i];
  }
  return mass;
}

/** Probability of each of `bins` equal bins on [low, high] under a density on a grid; none lies outside the grid. */
export function binDensity(grid, density, low, high, bins) {
  const integral = cumulativeIntegral(grid, density);
  const last = grid.length - 1;
  const upTo = (action) => interpolate(integral, fractionalIndex(grid, action));
  const mass = new Float64Array(bins);
  for (let bin = 0; bin < bins; bin++) {
    const start = bin === 0 ? 0 : upTo(low + ((high - low) * bin) / bins);
    const end = bin === bins - 1 ? integral[last] : upTo(low + ((high - low) * (bin + 1)) / bins);
    mass[bin] = end - start;
  }
  return mass;
}

/** Total variation distance of two laws on the same bins: 0 when equal, 1 when they never overlap. */
export function totalVariation(p, q) {
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += Math.abs(p[i] - q[i]);
  return sum / 2;
}

/** Where a value lies among increasing values, as a fractional index; clipped to the ends. */
export function fractionalIndex(values, value) {
  const last = values.length - 1;
  if (last === 0 || value <= values[0]) return 0;
  if (value >= values[last]) return last;
  let i = 1;
  while (values[i] < value) i++;
  return i - 1 + (value - values[i - 1]) / (values[i] - values[i - 1]);
}

function interpolate(values, index) {
  const i = Math.min(Math.floor(index), values.length - 2);
  return values[i] + (index - i) * (values[i + 1] - values[i]);
}

// ---- 2. Sliders ------------------------------------------------------------------------------------------------

export const ALPHA_POSITIONS = 100;

/** Slider position to α: 0 at the left end, then from smallest to largest on a log scale, to 3 digits. */
export function posToAlpha(position, smallest = 0.1, largest = 100) {
  if (position <= 0) return 0;
  const alpha = smallest * (largest / smallest) ** ((position - 1) / (ALPHA_POSITIONS - 1));
  return Number(alpha.toPrecision(3)); // what the page shows is what is used
}

/** The slider position nearest to α; α beyond the ends sits at the end. */
export function alphaToPos(alpha, smallest = 0.1, largest = 100) {
  if (alpha <= 0) return 0;
  const position = 1 + ((ALPHA_POSITIONS - 1) * Math.log(alpha / smallest)) / Math.log(largest / smallest);
  return Math.round(Math.min(ALPHA_POSITIONS, Math.max(1, position)));
}

/** The values of M on the slider: every integer up to 64 candidates; beyond, 1, 2, 3, 4, 6, 8, 12, 16, 24… */
export function candidateCounts(total) {
  if (total <= 64) return Array.from({ length: total }, (_, i) => i + 1);
  const counts = [1, 2, 3];
  for (let power = 4; power < total; power *= 2) counts.push(power, power * 1.5);
  return [...counts.filter((count) => count < total), total];
}

/** The position of the count nearest to M. */
export function countToPos(counts, numCandidates) {
  let nearest = 0;
  counts.forEach((count, i) => {
    if (Math.abs(count - numCandidates) < Math.abs(counts[nearest] - numCandidates)) nearest = i;
  });
  return nearest;
}

// ---- 3. Unpacking ----------------------------------------------------------------------------------------------

function bytes(base64) {
  const text = atob(base64);
  return new DataView(Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer);
}

/** Little-endian float64 numbers from base64. */
export function unpackFloats(base64) {
  const view = bytes(base64);
  return Float64Array.from({ length: view.byteLength / 8 }, (_, i) => view.getFloat64(8 * i, true));
}

/** Rows of 16-bit codes back to numbers: low[row] + step[row] * code. See pack_rows in explorer.py. */
export function unpackRows(packed, columns) {
  const low = unpackFloats(packed.low), step = unpackFloats(packed.step), codes = bytes(packed.codes);
  return Float64Array.from({ length: codes.byteLength / 2 }, (_, i) => {
    const row = Math.floor(i / columns);
    return low[row] + step[row] * codes.getUint16(2 * i, true);
  });
}

// ---- 4. Numbers as text ----------------------------------------------------------------------------------------

/** A few significant digits, with a true minus sign; rounding dust is 0. */
export function formatNumber(value, digits = 3) {
  if (Math.abs(value) < 1e-12) return "0";
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

/** At most about `count` round numbers that span [low, high], each with its label. */
export function niceTicks(low, high, count) {
  const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10);
  const decimals = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
    ticks.push({ value: i * step, label: (i * step).toFixed(decimals).replace(/^-(?=[0.]*$)/, "").replace("-", "−") });
  }
  return ticks;
}

// ---- 5. Drawing ------------------------------------------------------------------------------------------------

const PLOT_HEIGHT = 270; // CSS pixels, as in STYLE
const FONT = "12px system-ui, sans-serif";
const BINS = 40;

// ColorBrewer RdBu, reversed: blue for low, white in the middle, red for high.
const COLOR_MAP = [
  [5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240], [247, 247, 247],
  [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31],
];

/** The colour of a fraction in [0, 1] of the action range, as [red, green, blue]. */
export function mapColor(fraction) {
  const position = Math.min(1, Math.max(0, fraction)) * (COLOR_MAP.length - 1);
  const i = Math.min(COLOR_MAP.length - 2, Math.floor(position));
  return COLOR_MAP[i].map((channel, k) => Math.round(channel + (position - i) * (COLOR_MAP[i + 1][k] - channel)));
}

/** Clear the canvas and give it a plot area with linear axes. Returns null while the canvas has no width. */
function startPlot(canvas, colors, [xLow, xHigh], [yLow, yHigh], marginRight) {
  const cssWidth = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
  if (!cssWidth) return null;
  canvas.width = Math.round(cssWidth * ratio);
  canvas.height = Math.round(PLOT_HEIGHT * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = FONT;
  const left = 66, top = 10, width = cssWidth - left - marginRight, height = PLOT_HEIGHT - top - 42;
  return {
    context, colors, left, top, width, height, right: left + width, bottom: top + height,
    x: (value) => left + ((value - xLow) / (xHigh - xLow)) * width,
    y: (value) => top + height - ((value - yLow) / (yHigh - yLow)) * height,
    xAt: (pixel) => xLow + ((pixel - left) / width) * (xHigh - xLow),
    yAt: (pixel) => yLow + ((top + height - pixel) / height) * (yHigh - yLow),
  };
}

function drawText({ context }, text, x, y, align, color, rotation = 0) {
  context.save();
  context.translate(x, y);
  context.rotate(rotation);
  context.textAlign = align;
  context.textBaseline = "middle";
  context.fillStyle = color;
  context.fillText(text, 0, 0);
  context.restore();
}

function drawLine({ context }, points, color, { width = 1, dash = [] } = {}) {
  context.save();
  context.strokeStyle = color;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  context.restore();
}

function drawXAxis(plot, ticks, label) {
  const { colors, left, right, bottom } = plot;
  drawLine(plot, [[left, bottom], [right, bottom]], colors.axis);
  for (const { x, label: text } of ticks) {
    drawLine(plot, [[x, bottom], [x, bottom + 4]], colors.axis);
    drawText(plot, text, x, bottom + 13, "center", colors.text);
  }
  drawText(plot, label, (left + right) / 2, bottom + 31, "center", colors.text);
}

/** A vertical axis: on the left of the plot, or at `x` with its labels on the right. */
function drawYAxis(plot, ticks, label, { x = plot.left, side = -1, color = plot.colors.text } = {}) {
  const { colors, top, bottom } = plot;
  drawLine(plot, [[x, top], [x, bottom]], colors.axis);
  let widest = 0;
  for (const { y, label: text } of ticks) {
    drawLine(plot, [[x, y], [x + 4 * side, y]], colors.axis);
    drawText(plot, text, x + 7 * side, y, side < 0 ? "right" : "left", color);
    widest = Math.max(widest, plot.context.measureText(text).width);
  }
  const offset = Math.min(widest + 16, plot.left - 8); // never off the canvas
  drawText(plot, label, x + offset * side, (top + bottom) / 2, "center", color, -Math.PI / 2);
}

/** The action axis: a little wider than the limits, so that no stem lies on the frame. */
const actionRange = ([low, high]) => [low - 0.03 * (high - low), high + 0.03 * (high - low)];

const tickCount = (length, spacing) => Math.max(2, Math.floor(length / spacing));

function actionTicks(plot, [low, high]) {
  return niceTicks(low, high, tickCount(plot.width, 56)).map((tick) => ({ ...tick, x: plot.x(tick.value) }));
}

/** Candidates of one state: a stem for every selection probability, and Q on an axis of its own at the right. */
function drawCandidates(canvas, colors, { actions, q, summary, limits, actionLabel, curves }) {
  const { weights, best } = summary, used = weights.length;
  const topWeight = Math.max(...weights) * 1.12;
  const plot = startPlot(canvas, colors, actionRange(limits), [0, topWeight], 58);
  if (!plot) return;
  const { context, left, right, top, bottom, height } = plot;

  // Q: its curve where the page has one, else the candidates as dots.
  const qShown = curves.q ?? q;
  let qLow = Math.min(...qShown), qHigh = Math.max(...qShown);
  const pad = qHigh > qLow ? 0.06 * (qHigh - qLow) : 0.5;
  qLow -= pad;
  qHigh += pad;
  const yOfQ = (value) => bottom - ((value - qLow) / (qHigh - qLow)) * height;

  drawLine(plot, [[left, plot.y(1 / used)], [right, plot.y(1 / used)]], colors.muted, { dash: [2, 4] });
  context.save();
  context.beginPath();
  context.rect(left - 2, top - 4, plot.width + 4, height + 4);
  context.clip();
  for (let i = actions.length - 1; i >= used; i--) {
    drawLine(plot, [[plot.x(actions[i]), bottom], [plot.x(actions[i]), bottom - 6]], colors.muted);
  }
  const stemWidth = used <= 64 ? 2.5 : 1;
  for (let i = 0; i < used; i++) {
    const x = plot.x(actions[i]);
    if (i !== best) drawLine(plot, [[x, bottom], [x, plot.y(weights[i])]], colors.law, { width: stemWidth });
  }
  if (curves.q) {
    drawLine(plot, Array.from(curves.grid, (a, i) => [plot.x(a), yOfQ(curves.q[i])]), colors.q, { width: 1.5 });
  } else {
    context.fillStyle = colors.q;
    for (let i = 0; i < used; i++) {
      context.beginPath();
      context.arc(plot.x(actions[i]), yOfQ(q[i]), used <= 64 ? 3 : 1.5, 0, 2 * Math.PI);
      context.fill();
    }
  }
  const bestX = plot.x(actions[best]), bestY = plot.y(weights[best]);
  drawLine(plot, [[bestX, bottom], [bestX, bestY]], colors.best, { width: 3 });
  context.fillStyle = colors.best;
  context.fillRect(bestX - 4, bestY - 4, 8, 8);
  context.restore();

  const probabilityTicks = niceTicks(0, topWeight, 5).map((tick) => ({ ...tick, y: plot.y(tick.value) }));
  const qTicks = niceTicks(qLow, qHigh, 5).map((tick) => ({ ...tick, y: yOfQ(tick.value) }));
  drawXAxis(plot, actionTicks(plot, limits), actionLabel);
  drawYAxis(plot, probabilityTicks, "selection probability");
  drawYAxis(plot, qTicks, "Q(s, a)", { x: right, side: 1, color: colors.q });
}

/** The law of the selected action as a histogram, beside the behavior density and the exact policy where given. */
function drawLaw(canvas, colors, { law, plain, exact, limits, actionLabel, curves }) {
  const binWidth = (limits[1] - limits[0]) / BINS;
  const lawTop = Math.max(...law, ...(curves.density ? [] : plain)) / binWidth;
  const calm = Math.max(lawTop, ...(curves.density ?? []));
  const topDensity = 1.1 * Math.max(calm, Math.min(Math.max(0, ...(exact?.policy ?? [])), 2 * calm));
  const plot = startPlot(canvas, colors, actionRange(limits), [0, topDensity], 12);
  if (!plot) return;
  const { context, left, top, width, height, bottom } = plot;

  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.fillStyle = colors.lawFill;
  const edgeX = (edge) => plot.x(limits[0] + edge * binWidth);
  law.forEach((mass, bin) => {
    const y = plot.y(mass / binWidth);
    context.fillRect(edgeX(bin), y, edgeX(bin + 1) - edgeX(bin) - 0.5, bottom - y);
  });
  const curve = (values) => Array.from(curves.grid, (a, i) => [plot.x(a), plot.y(values[i])]);
  if (curves.density) {
    drawLine(plot, curve(curves.density), colors.muted, { width: 2, dash: [6, 4] });
  } else {
    const steps = Array.from(plain).flatMap((mass, bin) =>
      [bin, bin + 1].map((edge) => [edgeX(edge), plot.y(mass / binWidth)]));
    drawLine(plot, steps, colors.muted, { width: 1.5, dash: [4, 3] });
  }
  if (exact) drawLine(plot, curve(exact.policy), colors.exact, { width: 2 });
  context.restore();

  const ticks = niceTicks(0, topDensity, 5).map((tick) => ({ ...tick, y: plot.y(tick.value) }));
  drawXAxis(plot, actionTicks(plot, limits), actionLabel);
  drawYAxis(plot, ticks, "density");
}

/** The map of the shown action over the grid of states, the chosen state and the colour bar. Returns its plot. */
function drawMap(canvas, colors, { values, nx, ny, xValues, yValues, labels, limits, xIndex, yIndex }) {
  const plot = startPlot(canvas, colors, [-0.5, nx - 0.5], [-0.5, ny - 0.5], 84);
  if (!plot) return null;
  const { context, left, top, width, height, right } = plot;
  const [low, high] = limits;

  const image = document.createElement("canvas");
  image.width = nx;
  image.height = ny;
  const pixels = image.getContext("2d").createImageData(nx, ny);
  values.forEach((action, state) => {
    const row = ny - 1 - Math.floor(state / nx); // pictures count rows from the top
    pixels.data.set([...mapColor((action - low) / (high - low)), 255], 4 * (row * nx + (state % nx)));
  });
  image.getContext("2d").putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(image, left, top, width, height);

  for (const [color, lineWidth] of [["#fff", 5], ["#000", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = lineWidth;
    context.strokeRect(plot.x(xIndex) - 5, plot.y(yIndex) - 5, 10, 10);
  }

  const bar = right + 12, barWidth = 12;
  for (let y = 0; y < height; y++) {
    context.fillStyle = `rgb(${mapColor(1 - y / (height - 1))})`;
    context.fillRect(bar, top + y, barWidth, 1);
  }
  const barTicks = niceTicks(low, high, 5).map((tick) => ({
    ...tick, y: top + height - ((tick.value - low) / (high - low)) * height,
  }));
  drawYAxis(plot, barTicks, labels.action, { x: bar + barWidth, side: 1 });

  const stateTicks = (axis, count, place) =>
    niceTicks(axis[0], axis[axis.length - 1] > axis[0] ? axis[axis.length - 1] : axis[0] + 1, count)
      .filter(({ value }) => value <= axis[axis.length - 1])
      .map((tick) => place(tick, fractionalIndex(axis, tick.value)));
  drawXAxis(plot, stateTicks(xValues, tickCount(width, 56), (tick, i) => ({ ...tick, x: plot.x(i) })), labels.x);
  drawYAxis(plot, stateTicks(yValues, 5, (tick, i) => ({ ...tick, y: plot.y(i) })), labels.y);
  return plot;
}

// ---- 6. The widget ---------------------------------------------------------------------------------------------

const MAP_MODES = {
  mean: "Mean action E[a | s]",
  greedy: "Greedy action (highest Q)",
  sampled: "One sampled action",
};

/* Own colours on an own background: legible on any host's card, in light and in dark. */
const STYLE = `
html[data-theme="dark"] .bd-content div.cell_output .text_html:has(> .sfbc-static-widget) {
  background: transparent !important; padding: 0; /* the book's theme puts HTML outputs on a light card */
}
.sfbc-explorer {
  --text: #1f2328; --muted: #656d76; --axis: #8c959f; --back: #ffffff; --edge: #c9d1d9; --focus: #0b62b8;
  --law: #0b62b8; --law-fill: #8ab8e6; --best: #b3261e; --q: #1a7f37; --exact: #a34a00;
  box-sizing: border-box; width: 100%; max-width: 860px; margin: 4px 0 12px; padding: 12px; border: 1px solid var(--edge);
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
.sfbc-explorer select {
  flex: 0 1 auto; max-width: 100%; padding: 3px 6px; font: inherit; color: inherit; background: var(--back);
  border: 1px solid var(--axis); border-radius: 4px;
}
.sfbc-explorer .sfbc-value { flex: 0 0 56px; text-align: right; font-variant-numeric: tabular-nums; }
.sfbc-explorer .sfbc-plots { display: flex; flex-wrap: wrap; gap: 12px 20px; margin: 10px 0 8px; }
.sfbc-explorer .sfbc-plot { flex: 1 1 310px; min-width: 0; }
.sfbc-explorer .sfbc-caption { font-weight: 600; }
.sfbc-explorer canvas { display: block; width: 100%; height: ${PLOT_HEIGHT}px; border-radius: 4px; }
.sfbc-explorer canvas[tabindex] { cursor: crosshair; }
.sfbc-explorer :is(canvas, input, select):focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.sfbc-explorer ul { display: flex; flex-wrap: wrap; gap: 0 14px; margin: 4px 0 0; padding: 0; font-size: 13px; }
.sfbc-explorer li { display: flex; align-items: center; gap: 6px; margin: 0; padding: 0; list-style: none; }
.sfbc-explorer li::before { content: ""; flex: none; width: 18px; border-top: 3px solid var(--mark); }
.sfbc-explorer li[data-mark="dash"]::before { border-top-style: dashed; border-top-width: 2px; }
.sfbc-explorer li[data-mark="fill"]::before { height: 11px; border: 0; background: var(--mark); }
.sfbc-explorer li[data-mark="dot"]::before { width: 7px; height: 7px; border: 0; border-radius: 50%; background: var(--mark); }
.sfbc-explorer li[data-mark="tick"]::before { width: 2px; height: 8px; border: 0; background: var(--mark); }
.sfbc-explorer .sfbc-summary { margin: 0; font-variant-numeric: tabular-nums; }
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

/** The controls, plots and text of one widget, as elements that `mount` fills and listens to. */
function buildPage(data, counts) {
  const prefix = `sfbc-explorer-${Math.random().toString(36).slice(2)}`; // several modules share one page
  const isMap = data.layout === "map";
  const slider = (name, max) => element("input", { id: `${prefix}-${name}`, type: "range", min: 0, max, step: 1 });
  const control = (text, input, ...rest) =>
    element("div", { className: "sfbc-control" }, element("label", { for: input.id }, text), input, ...rest);

  const alpha = slider("alpha", ALPHA_POSITIONS), count = slider("count", counts.length - 1);
  // Hidden from screen readers, which hear the same from aria-valuetext; an <output> would be announced once more.
  const value = () => element("span", { className: "sfbc-value", "aria-hidden": "true" });
  const alphaText = value(), countText = value();
  const mode = element("select", { id: `${prefix}-mode` },
    ...Object.entries(MAP_MODES).map(([value, text]) => element("option", { value }, text)));
  const left = element("canvas"), right = element("canvas", { role: "img" });
  const leftCaption = element("div", { className: "sfbc-caption" });
  const rightCaption = element("div", { className: "sfbc-caption" });
  const summary = element("p", { className: "sfbc-summary", role: "status", "aria-live": "polite" });
  const hint = element("p", { id: `${prefix}-hint` },
    "Click the map, or focus it and use the arrow keys, to choose the state.");

  const candidateLegend = legend(
    ["line", "law", "candidate’s probability"],
    ["line", "best", "best candidate"],
    data.curves.q ? ["line", "q", "Q(s, a), right axis"] : ["dot", "q", "Q of the candidates, right axis"],
    ["dash", "muted", "1/M, the probability at α = 0"],
    ["tick", "muted", "not used: beyond M"],
  );
  const lawLegend = legend(
    ["fill", "law-fill", "selected action"],
    ["dash", "muted", data.curves.density ? "behavior density μ" : "candidates, unweighted"],
    ...(data.curves.q ? [["line", "exact", "exact policy π ∝ μ exp(αQ)"]] : []),
  );
  if (isMap) {
    // The arrow keys belong to the map: "application" tells a screen reader to pass them on.
    left.setAttribute("role", "application");
    left.setAttribute("aria-describedby", hint.id);
    left.tabIndex = 0;
  } else {
    left.setAttribute("role", "img");
  }

  const plot = (...children) => element("div", { className: "sfbc-plot" }, ...children);
  const root = element("section",
    { className: "sfbc-explorer", role: "group", "aria-labelledby": `${prefix}-title`, "data-lm-suppress-shortcuts": "true" },
    element("style", {}, STYLE),
    element("p", { id: `${prefix}-title`, className: "sfbc-title" }, data.title),
    control("Inverse temperature α", alpha, alphaText),
    control("Candidates M", count, countText),
    ...(isMap ? [control("The map shows", mode)] : []),
    element("div", { className: "sfbc-plots" },
      plot(leftCaption, left, isMap ? hint : candidateLegend),
      plot(rightCaption, right, isMap ? candidateLegend : lawLegend)),
    summary,
  );
  return { root, alpha, alphaText, count, countText, mode, left, right, leftCaption, rightCaption, summary };
}

/**
 * Put an explorer into an element.
 * @param {Element} host Its content is replaced.
 * @param {object} data The `data` trait of the Python class.
 * @param {object} initial Values of the state.
 * @param {function} [onChange] Called with the state after the reader, not the program, has changed it.
 * @returns {{ update: function, destroy: function }} `update(patch)` sets parts of the state.
 */
export function mount(host, data, initial, onChange) {
  const [ny, nx, total] = data.shape, isMap = data.layout === "map", limits = data.action_limits;
  const allActions = unpackRows(data.actions, total), allQ = unpackRows(data.q, total);
  const curves = Object.fromEntries(Object.entries(data.curves).map(([name, packed]) => [name, unpackFloats(packed)]));
  const xValues = unpackFloats(data.x_values), yValues = unpackFloats(data.y_values);
  const counts = candidateCounts(total), alphaRange = [data.smallest_alpha, data.max_alpha];
  const state = { ...initial };
  const page = buildPage(data, counts);
  let scheduled = 0, mapPlot = null;

  /** The first `count` candidates of a state, as views. */
  const candidates = (stateIndex, count) => {
    const start = stateIndex * total;
    return [allActions.subarray(start, start + count), allQ.subarray(start, start + count)];
  };

  function draw() {
    scheduled = 0;
    page.root.dataset.dark = String(pageIsDark());
    const computed = getComputedStyle(page.root);
    const color = (name) => computed.getPropertyValue(`--${name}`).trim();
    const colors = {
      text: color("text"), muted: color("muted"), axis: color("axis"), law: color("law"), lawFill: color("law-fill"),
      best: color("best"), q: color("q"), exact: color("exact"),
    };
    const { alpha, num_candidates: used, x_index: xIndex, y_index: yIndex } = state;
    const stateIndex = yIndex * nx + xIndex;
    const [actions, q] = candidates(stateIndex, used), [everyAction, everyQ] = candidates(stateIndex, total);
    const summary = summarize(actions, q, alpha);
    const shared = { limits, curves, actionLabel: data.action_label };

    const at = isMap
      ? ` at ${data.x_label} ${formatNumber(xValues[xIndex])}, ${data.y_label} ${formatNumber(yValues[yIndex])}` : "";
    let text = `α = ${formatNumber(alpha)}, M = ${used}${at}: mean action ${formatNumber(summary.meanAction)}, `
      + `best action ${formatNumber(summary.bestAction)}, E[Q] = ${formatNumber(summary.expectedQ, 4)}, `
      + `effective sample size ${formatNumber(summary.ess, 4)} of ${used}.`;

    drawCandidates(isMap ? page.right : page.left, colors, { ...shared, actions: everyAction, q: everyQ, summary });
    if (isMap) {
      const values = Float64Array.from({ length: nx * ny },
        (_, index) => shownAction(...candidates(index, used), alpha, state.map_mode, index));
      const labels = { x: data.x_label, y: data.y_label, action: data.action_label };
      mapPlot = drawMap(page.left, colors, { values, nx, ny, xValues, yValues, labels, limits, xIndex, yIndex });
      page.leftCaption.textContent = MAP_MODES[state.map_mode];
      page.rightCaption.textContent = "Candidates at the chosen state";
    } else {
      const law = binCandidates(actions, summary.weights, ...limits, BINS);
      const plain = binCandidates(actions, new Float64Array(used).fill(1 / used), ...limits, BINS);
      const exact = curves.q ? exactPolicy(curves.grid, curves.density, curves.q, alpha) : null;
      drawLaw(page.right, colors, { ...shared, law, plain, exact });
      page.leftCaption.textContent = "Candidates and their probabilities";
      page.rightCaption.textContent = "Law of the selected action";
      if (exact) {
        const distance = totalVariation(law, binDensity(curves.grid, exact.policy, ...limits, BINS));
        text += ` The exact policy has mean action ${formatNumber(exact.meanAction)} and E[Q] = `
          + `${formatNumber(exact.expectedQ, 4)}; total variation distance over ${BINS} bins: ${formatNumber(distance)}.`;
        page.root.dataset.totalVariation = distance.toFixed(6);
      }
    }
    page.summary.textContent = text;
    page.left.setAttribute("aria-label", `${page.leftCaption.textContent}. ${text}`);
    page.right.setAttribute("aria-label", `${page.rightCaption.textContent}. ${text}`);
    Object.assign(page.root.dataset, {
      alpha, numCandidates: used, xIndex, yIndex, mapMode: state.map_mode,
      meanAction: summary.meanAction.toFixed(6), ready: "true",
    });
  }

  const redraw = () => { scheduled ||= requestAnimationFrame(draw); };

  function update(patch) {
    Object.assign(state, patch);
    const alphaText = formatNumber(state.alpha);
    page.alpha.value = alphaToPos(state.alpha, ...alphaRange);
    page.alpha.setAttribute("aria-valuetext", `alpha ${alphaText}`);
    page.alphaText.textContent = alphaText;
    page.count.value = countToPos(counts, state.num_candidates);
    page.count.setAttribute("aria-valuetext", `${state.num_candidates} of ${total} candidates`);
    page.countText.textContent = state.num_candidates;
    page.mode.value = state.map_mode;
    redraw();
  }

  function changedByReader(patch) {
    update(patch);
    onChange?.({ ...state });
  }

  /** Choose a state, clipped to the grid. */
  function choose(xIndex, yIndex) {
    const clip = (index, size) => Math.min(size - 1, Math.max(0, index));
    changedByReader({ x_index: clip(xIndex, nx), y_index: clip(yIndex, ny) });
  }

  page.alpha.addEventListener("input", () => changedByReader({ alpha: posToAlpha(Number(page.alpha.value), ...alphaRange) }));
  page.count.addEventListener("input", () => changedByReader({ num_candidates: counts[Number(page.count.value)] }));
  page.mode.addEventListener("change", () => changedByReader({ map_mode: page.mode.value }));
  if (isMap) {
    page.left.addEventListener("click", (event) => {
      if (!mapPlot) return;
      const box = page.left.getBoundingClientRect();
      const x = Math.round(mapPlot.xAt(event.clientX - box.left)), y = Math.round(mapPlot.yAt(event.clientY - box.top));
      if (x >= 0 && x < nx && y >= 0 && y < ny) choose(x, y);
    });
    page.left.addEventListener("keydown", (event) => {
      const { x_index: x, y_index: y } = state;
      const target = {
        ArrowLeft: [x - 1, y], ArrowRight: [x + 1, y], ArrowUp: [x, y + 1], ArrowDown: [x, y - 1],
        Home: [0, y], End: [nx - 1, y], PageUp: [x, ny - 1], PageDown: [x, 0],
      }[event.key];
      if (!target || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault(); // or the page scrolls
      choose(...target);
    });
  }
  // JupyterLab and some book themes listen for these keys on the whole page: keep them in the widget.
  page.root.addEventListener("keydown", (event) => {
    if (/^(Arrow|Home|End|Page)/.test(event.key)) event.stopPropagation();
  });

  const themeWatch = new MutationObserver(redraw);
  for (const node of [document.documentElement, document.body]) {
    themeWatch.observe(node, { attributes: true, attributeFilter: ["data-theme", "theme", "class", "data-jp-theme-light"] });
  }
  const preference = window.matchMedia("(prefers-color-scheme: dark)");
  preference.addEventListener("change", redraw);
  const sizeWatch = new ResizeObserver(redraw);
  sizeWatch.observe(page.root);

  host.replaceChildren(page.root); // only now: had anything above failed, the still picture would have stayed
  update({});
  return {
    update,
    destroy() {
      themeWatch.disconnect();
      sizeWatch.disconnect();
      preference.removeEventListener("change", redraw);
      cancelAnimationFrame(scheduled);
      page.root.remove();
    },
  };
}

// ---- 7. The hosts ----------------------------------------------------------------------------------------------

/** The static page: data and state are in a JSON script element beside the host. */
export function mountStatic(id) {
  const { data, state } = JSON.parse(document.getElementById(`${id}-data`).textContent);
  return mount(document.getElementById(id), data, state);
}

const SYNCED = ["alpha", "num_candidates", "x_index", "y_index", "map_mode"];

/** anywidget: the Python traits and the state follow each other. */
function render({ model, el }) {
  const fromModel = () => Object.fromEntries(SYNCED.map((name) => [name, model.get(name)]));
  const explorer = mount(el, model.get("data"), fromModel(), (state) => {
    for (const name of SYNCED) model.set(name, state[name]);
    model.save_changes();
  });
  const pull = () => explorer.update(fromModel());
  for (const name of SYNCED) model.on(`change:${name}`, pull);
  return () => {
    for (const name of SYNCED) model.off(`change:${name}`, pull);
    explorer.destroy();
  };
}

export default { render };
