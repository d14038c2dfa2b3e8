/* The action explorer: move α and M, see which action SfBC selects. See explorer.py for the Python side; plot.js and
 * page.js, which come before this in one module, have what the explorers share.
 *
 * Sections: 1 numerics, 2 sliders, 3 drawing, 4 the widget.
 * Sections 1 and 2 touch no page and are tested under Node against NumPy.
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

// ---- 3. Drawing ------------------------------------------------------------------------------------------------

const BINS = 40;

// ColorBrewer RdBu, reversed: blue for low, white in the middle, red for high.
const COLOR_MAP = [
  [5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240], [247, 247, 247],
  [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31],
];

/** The colour of a fraction in [0, 1] of the action range, as [red, green, blue]. */
export const mapColor = (fraction) => blend(COLOR_MAP, fraction);

/** The action axis: a little wider than the limits, so that no stem lies on the frame. */
const actionRange = ([low, high]) => [low - 0.03 * (high - low), high + 0.03 * (high - low)];

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
  const { context, left, top, width, height } = plot;
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

  drawMarker(plot, plot.x(xIndex), plot.y(yIndex));
  drawColorBar(plot, mapColor, limits, labels.action);

  const stateTicks = (axis, count, place) =>
    niceTicks(axis[0], axis[axis.length - 1] > axis[0] ? axis[axis.length - 1] : axis[0] + 1, count)
      .filter(({ value }) => value <= axis[axis.length - 1])
      .map((tick) => place(tick, fractionalIndex(axis, tick.value)));
  drawXAxis(plot, stateTicks(xValues, tickCount(width, 56), (tick, i) => ({ ...tick, x: plot.x(i) })), labels.x);
  drawYAxis(plot, stateTicks(yValues, 5, (tick, i) => ({ ...tick, y: plot.y(i) })), labels.y);
  return plot;
}

// ---- 4. The widget ---------------------------------------------------------------------------------------------

const MAP_MODES = {
  mean: "Mean action E[a | s]",
  greedy: "Greedy action (highest Q)",
  sampled: "One sampled action",
};

/** The controls, plots and text of one widget, as elements that `mount` fills and listens to. */
function buildPage(data, counts) {
  const prefix = `sfbc-explorer-${Math.random().toString(36).slice(2)}`; // several modules share one page
  const isMap = data.layout === "map";
  const alpha = labelledSlider(`${prefix}-alpha`, "Inverse temperature α", ALPHA_POSITIONS);
  const count = labelledSlider(`${prefix}-count`, "Candidates M", counts.length - 1);
  const mode = labelledSelect(`${prefix}-mode`, "The map shows", MAP_MODES);
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
  if (!isMap) left.setAttribute("role", "img");

  const plot = (...children) => element("div", { className: "sfbc-plot" }, ...children);
  const root = element("section",
    { className: "sfbc-explorer", role: "group", "aria-labelledby": `${prefix}-title`, "data-lm-suppress-shortcuts": "true" },
    element("style", {}, STYLE),
    element("p", { id: `${prefix}-title`, className: "sfbc-title" }, data.title),
    alpha.row,
    count.row,
    ...(isMap ? [mode.row] : []),
    element("div", { className: "sfbc-plots" },
      plot(leftCaption, left, isMap ? hint : candidateLegend),
      plot(rightCaption, right, isMap ? candidateLegend : lawLegend)),
    summary,
  );
  return { root, alpha, count, mode: mode.input, left, right, leftCaption, rightCaption, summary, hint };
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
  let mapPlot = null;

  /** The first `count` candidates of a state, as views. */
  const candidates = (stateIndex, count) => {
    const start = stateIndex * total;
    return [allActions.subarray(start, start + count), allQ.subarray(start, start + count)];
  };

  function draw() {
    const colors = themeColors(page.root);
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

  const { redraw, stop } = followPage(page.root, draw);

  function update(patch) {
    Object.assign(state, patch);
    const alphaText = formatNumber(state.alpha);
    page.alpha.input.value = alphaToPos(state.alpha, ...alphaRange);
    page.alpha.input.setAttribute("aria-valuetext", `alpha ${alphaText}`);
    page.alpha.value.textContent = alphaText;
    page.count.input.value = countToPos(counts, state.num_candidates);
    page.count.input.setAttribute("aria-valuetext", `${state.num_candidates} of ${total} candidates`);
    page.count.value.textContent = state.num_candidates;
    page.mode.value = state.map_mode;
    redraw();
  }

  function changedByReader(patch) {
    update(patch);
    onChange?.({ ...state });
  }

  page.alpha.input.addEventListener("input",
    () => changedByReader({ alpha: posToAlpha(Number(page.alpha.input.value), ...alphaRange) }));
  page.count.input.addEventListener("input",
    () => changedByReader({ num_candidates: counts[Number(page.count.input.value)] }));
  page.mode.addEventListener("change", () => changedByReader({ map_mode: page.mode.value }));
  if (isMap) {
    makeNavigable(page.left, page.hint, nx, ny, () => mapPlot, () => [state.x_index, state.y_index],
      (x, y) => changedByReader({ x_index: x, y_index: y }));
  }

  host.replaceChildren(page.root); // only now: had anything above failed, the still picture would have stayed
  update({});
  return { update, destroy: stop };
}

const { mountStatic, render } = hosts(mount, ["alpha", "num_candidates", "x_index", "y_index", "map_mode"]);
export default { render };
