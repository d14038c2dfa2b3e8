/* The action explorer: move α and M, see which action SfBC selects. See explorer.py for the Python side, which also lists
 * the files that come before this one in the module.
 *
 * Sections: 1 sliders, 2 the widget. Section 1 touches no page and is tested under Node against NumPy.
 * The state of a widget is { alpha, num_candidates, x_index, y_index, map_mode }: the names of the Python traits.
 */

// ---- 1. Sliders ------------------------------------------------------------------------------------------------

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

// ---- 2. The widget ---------------------------------------------------------------------------------------------

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

  const root = element("section",
    { className: "sfbc-explorer", role: "group", "aria-labelledby": `${prefix}-title`, "data-lm-suppress-shortcuts": "true" },
    element("style", {}, STYLE),
    element("p", { id: `${prefix}-title`, className: "sfbc-title" }, data.title),
    alpha.row,
    count.row,
    ...(isMap ? [mode.row] : []),
    ...plotArea(
      [isMap ? "Map" : "Candidates", leftCaption, left, isMap ? hint : candidateLegend],
      [isMap ? "Candidates" : "Law", rightCaption, right, isMap ? candidateLegend : lawLegend]),
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

/** What the page's address may say about the state: what the Python traits would accept. */
export const actionParsers = ({ shape: [ny, nx, total] }) => ({
  alpha: parseNumber(0, Infinity),
  num_candidates: parseWhole(1, total),
  x_index: parseWhole(0, nx - 1),
  y_index: parseWhole(0, ny - 1),
  map_mode: parseOneOf(Object.keys(MAP_MODES)),
});

const { mountStatic, render } = hosts(mount, ["alpha", "num_candidates", "x_index", "y_index", "map_mode"], actionParsers);
export default { render };
