/* The action explorer: move α and M, see which action SfBC selects. See explorer.py for the Python side, which also lists
 * the files that come before this one in the module.
 *
 * The state of a widget is { alpha, num_candidates, x_index, y_index, map_mode, selection, draws, q_index }: the names of the
 * Python traits.
 */

const FRAME_BUDGET = 5; // milliseconds of a frame for the mean over draws: the rest is for drawing

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
  const curves = unpackCurves(data.curves);
  const xValues = unpackFloats(data.x_values), yValues = unpackFloats(data.y_values);
  const state = { ...initial };
  const page = buildPage(data, candidateCounts(total), state, changedByReader);
  const draws = curves.qs ? candidateDraws(curves, [allActions, allQ], data.given_q_index) : null;
  const average = lawAverage(...limits, BINS);
  let mapPlot = null;

  /** All candidates of a state, as views. */
  const candidatesAt = (index) =>
    [allActions, allQ].map((values) => values.subarray(index * total, (index + 1) * total));

  /** The numbers of the candidates in the choice, in words. */
  function describe(summary, q) {
    const { alpha, num_candidates: used, x_index: xIndex, y_index: yIndex, selection } = state;
    const at = isMap
      ? ` at ${data.x_label} ${shortIn(xValues[xIndex], ends(xValues))}, ${data.y_label} ${shortIn(yValues[yIndex], ends(yValues))}` : "";
    const mean = selection === "sample" ? "mean action" : "selected action";
    return `α = ${formatNumber(alpha)}, M = ${used}${at}: ${mean} ${shortIn(summary.meanAction, limits)}, `
      + `best action ${shortIn(summary.bestAction, limits)}, E[Q] = ${shortIn(summary.expectedQ, range(q))}, `
      + `effective sample size ${formatNumber(summary.ess, 4)} of ${used}.`;
  }

  function drawMapLayout(colors, summary) {
    const { alpha, num_candidates: used, map_mode: mode, x_index: xIndex, y_index: yIndex } = state;
    const values = Float64Array.from({ length: nx * ny }, (_, index) =>
      shownAction(...candidatesAt(index).map((all) => all.subarray(0, used)), alpha, mode, index));
    const labels = { x: data.x_label, y: data.y_label, action: data.action_label };
    mapPlot = drawMap(page.left, colors, { values, nx, ny, xValues, yValues, labels, limits, xIndex, yIndex });
    page.leftCaption.textContent = MAP_MODES[mode];
    page.rightCaption.textContent = "Candidates at the chosen state";
    return describe(summary, allQ);
  }

  function drawPolicyLayout(colors, shared, actions, summary) {
    const { alpha, num_candidates: used, selection, q_index: qIndex } = state, q = shared.curves.q;
    const plain = binCandidates(actions, new Float64Array(used).fill(1 / used), ...limits, BINS);
    const ofDraw = binSelected(actions, summary, selection, ...limits, BINS);
    const { law, count } = draws ? average.advance(draws.of, state, FRAME_BUDGET) : { law: ofDraw, count: 1 };
    const exact = q ? exactPolicy(curves.grid, curves.density, q, alpha) : null;
    drawLaw(page.right, colors, { ...shared, law, plain, exact });
    page.leftCaption.textContent = "Candidates and their probabilities";
    page.rightCaption.textContent = "Law of the selected action"
      + (state.draws > 1 ? `, mean over ${count} draw${count > 1 ? "s" : ""}` : "");
    let text = describe(summary, q ?? allQ);
    if (!exact) return text;
    const target = binDensity(curves.grid, exact.policy, ...limits, BINS);
    const [distance, ofMean] = [ofDraw, law].map((mass) => totalVariation(mass, target));
    text += ` The exact policy has mean action ${shortIn(exact.meanAction, limits)} and E[Q] = ${shortIn(exact.expectedQ, range(q))}. `
      + `Total variation distance to it over ${BINS} bins: ${formatNumber(distance)}`;
    Object.assign(page.root.dataset, { totalVariation: ofMean.toFixed(6), drawsDone: count, qIndex });
    if (count < state.draws) redraw(); // goes on in the next frame; the number is told when it is final
    else if (count > 1) text += ` for this draw, ${formatNumber(ofMean)} for the mean over ${count} draws`;
    return `${text}.`;
  }

  function draw() {
    const colors = themeColors(page.root), { alpha, num_candidates: used, x_index: xIndex, y_index: yIndex } = state;
    const [everyAction, everyQ] = draws ? draws.of(state.draws, state.q_index) : candidatesAt(yIndex * nx + xIndex);
    const [actions, q] = [everyAction, everyQ].map((all) => all.subarray(0, used));
    const summary = summarize(actions, q, alpha, state.selection);
    const curveQ = curves.qs?.[state.q_index];
    if (state.selection === "mean_of_best") {
      summary.expectedQ = interpolate(curveQ, fractionalIndex(curves.grid, summary.meanAction));
    }
    const shared = { limits, curves: { ...curves, q: curveQ }, actionLabel: data.action_label };
    drawCandidates(isMap ? page.right : page.left, colors,
      { ...shared, actions: everyAction, q: everyQ, summary, showMean: state.selection === "mean_of_best" });
    const text = isMap ? drawMapLayout(colors, summary) : drawPolicyLayout(colors, shared, actions, summary);
    page.summary.textContent = text;
    page.left.setAttribute("aria-label", `${page.leftCaption.textContent}. ${text}`);
    page.right.setAttribute("aria-label", `${page.rightCaption.textContent}. ${text}`);
    Object.assign(page.root.dataset, {
      alpha, numCandidates: used, xIndex, yIndex, mapMode: state.map_mode, selection: state.selection, draws: state.draws,
      meanAction: summary.meanAction.toFixed(6), ready: "true",
    });
  }

  const { redraw, stop } = followPage(page.root, draw);

  function update(patch) {
    Object.assign(state, patch);
    page.show();
    redraw();
  }

  function changedByReader(patch) {
    update(patch);
    onChange?.({ ...state });
  }

  if (isMap) {
    makeNavigable(page.left, page.hint, nx, ny, () => mapPlot, () => [state.x_index, state.y_index],
      (x, y) => changedByReader({ x_index: x, y_index: y }));
  }

  host.replaceChildren(page.root); // only now: had anything above failed, the still picture would have stayed
  update({});
  return { update, destroy: stop };
}

/** The curves of one state: grid, density and, a row for each setting of Q, qs. */
function unpackCurves(packed) {
  const { q, ...curves } = Object.fromEntries(Object.entries(packed).map(([name, values]) => [name, unpackFloats(values)]));
  if (!q) return curves;
  const points = curves.grid.length;
  return { ...curves, qs: Array.from({ length: q.length / points }, (_, i) => q.subarray(i * points, (i + 1) * points)) };
}

const ends = (values) => [values[0], values[values.length - 1]];
const range = (values) => [Math.min(...values), Math.max(...values)];
const shortIn = (value, limits) => formatNumber(roundToRange(value, limits), 4);

/** What the page's address may say about the state: what the Python traits would accept. */
export const actionParsers = ({ layout, shape: [ny, nx, total], curves, q_setting: qSetting }) => ({
  alpha: parseNumber(0, Infinity),
  num_candidates: parseWhole(1, total),
  ...(layout === "map" ? {
    x_index: parseWhole(0, nx - 1),
    y_index: parseWhole(0, ny - 1),
    map_mode: parseOneOf(Object.keys(MAP_MODES)),
  } : {}),
  ...(curves.q ? { selection: parseOneOf(Object.keys(SELECTIONS)), draws: parseWhole(1, MAX_DRAWS) } : {}),
  ...(qSetting ? { q_index: parseWhole(0, qSetting[1].length - 1) } : {}),
});

const { mountStatic, render } = hosts(mount,
  ["alpha", "num_candidates", "x_index", "y_index", "map_mode", "selection", "draws", "q_index"], actionParsers);
export default { render };
