/* The diffusion explorer: choose a solver, see how samples flow from noise to data. See diffusion_explorer.py for the Python
 * side; the shared files and dpm_solver.js come before this in one module.
 *
 * Sections: 1 numbers, 2 drawing, 3 the widget. Section 1 touches no page and is tested under Node against the Python side.
 * The state of a widget is { steps, order, spacing, prediction, time }: the names of the Python traits.
 */

// ---- 1. Numbers ------------------------------------------------------------------------------------------------

/** How many steps did not go past a time; a time of the solver itself counts as reached. */
export function stepReached(times, time) {
  return times.filter((value) => value >= time * (1 - 1e-9)).length - 1;
}

/** RMS distance of end points to the exact ones, and how many are far from every mode. */
export function judge(end, exact, { means, deviations }, offDataDeviations) {
  const squares = end.reduce((sum, x, i) => sum + (x - exact[i]) ** 2, 0);
  const isOff = (x) => means.every((mean, k) => Math.abs(x - mean) > offDataDeviations * deviations[k]);
  const off = Array.from(end, isOff);
  return { rmsError: Math.sqrt(squares / end.length), off, offData: off.filter(Boolean).length };
}

/** Density of samples in equal bins on [low, high]; those outside are in no bin. */
export function histogram(samples, [low, high], bins) {
  const heights = new Float64Array(bins), unit = bins / (high - low) / samples.length;
  for (const x of samples) {
    const bin = Math.floor(((x - low) / (high - low)) * bins);
    if (bin >= 0 && bin < bins) heights[bin] += unit;
  }
  return heights;
}

/** "3 steps of order 3, then 1 step of order 1" for [3, 3, 3, 1]. */
export function describeSteps(orders) {
  const runs = [];
  for (const order of orders) {
    const last = runs[runs.length - 1];
    if (last?.order === order) last.count++;
    else runs.push({ order, count: 1 });
  }
  return runs.map(({ order, count }) => `${count} step${count > 1 ? "s" : ""} of order ${order}`).join(", then ");
}

// ---- 2. Drawing ------------------------------------------------------------------------------------------------

const BINS = 100;
// So fine that no difference to the exact path can be seen; of the form 3k + 2, so that no step is of order 1.
export const FINE = { steps: 299, order: 3, spacing: "log_snr", prediction: "data" };
const EXACT_PATHS = 8;

/** Paths of the samples up to the step shown, over λ, those that end off the data in a colour of their own; exact paths. */
function drawPaths(canvas, colors, { solved, shown, off, exactPaths, schedule, limits, label }) {
  const logSnr = solved.times.map(schedule.logSnr), range = [logSnr[0], logSnr[logSnr.length - 1]];
  const plot = startPlot(canvas, colors, range, limits, 12);
  if (!plot) return;
  const { context, left, top, width, height, bottom } = plot;
  for (const value of logSnr.slice(1, -1)) {
    drawLine(plot, [[plot.x(value), top], [plot.x(value), bottom]], colors.muted, { dash: [2, 4] });
  }
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  for (const fate of [false, true]) { // those that end off the data on top
    const color = fate ? colors.best : colors.law;
    off.forEach((isOff, i) => {
      if (isOff !== fate) return;
      const points = logSnr.slice(0, shown + 1).map((value, j) => [plot.x(value), plot.y(solved.states[j][i])]);
      context.globalAlpha = 0.45;
      drawLine(plot, points, color);
      context.globalAlpha = 1;
      context.fillStyle = color;
      context.fillRect(points[shown][0] - 1.5, points[shown][1] - 1.5, 3, 3);
    });
  }
  exactPaths.states[0].forEach((_, i) => {
    const points = exactPaths.times.map((time, j) => [plot.x(schedule.logSnr(time)), plot.y(exactPaths.states[j][i])]);
    drawLine(plot, points, colors.back, { width: 3 }); // or it is lost among the paths
    drawLine(plot, points, colors.exact, { width: 1.5, dash: [5, 3] });
  });
  context.restore();
  for (const time of solved.evaluated) {
    const x = plot.x(schedule.logSnr(time));
    drawLine(plot, [[x, bottom], [x, bottom - 8]], colors.text, { width: 2 });
  }
  drawXAxis(plot, niceTicks(...range, tickCount(width, 56)).map((tick) => ({ ...tick, x: plot.x(tick.value) })),
    "λ = log(α/σ), noise to data");
  drawYAxis(plot, niceTicks(...limits, 5).map((tick) => ({ ...tick, y: plot.y(tick.value) })), label);
}

/** The samples shown as a histogram, beside the exact density at their time. */
function drawSamples(canvas, colors, { samples, density, limits, label }) {
  const heights = histogram(samples, limits, BINS), binWidth = (limits[1] - limits[0]) / BINS;
  const curve = Array.from({ length: 401 }, (_, i) => limits[0] + (i / 400) * (limits[1] - limits[0]))
    .map((x) => [x, density(x)]);
  const peak = Math.max(...curve.map(([, y]) => y));
  const plot = startPlot(canvas, colors, limits, [0, 1.1 * Math.max(peak, Math.min(Math.max(...heights), 2 * peak))], 12);
  if (!plot) return;
  const { context, left, top, width, height, bottom } = plot;
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.fillStyle = colors.lawFill;
  heights.forEach((value, bin) => {
    const x = plot.x(limits[0] + bin * binWidth);
    context.fillRect(x, plot.y(value), plot.x(limits[0] + (bin + 1) * binWidth) - x, bottom - plot.y(value));
  });
  drawLine(plot, curve.map(([x, y]) => [plot.x(x), plot.y(y)]), colors.exact, { width: 2 });
  context.restore();
  drawXAxis(plot, niceTicks(...limits, tickCount(width, 56)).map((tick) => ({ ...tick, x: plot.x(tick.value) })), label);
  drawYAxis(plot, niceTicks(0, plot.yAt(top), 5).map((tick) => ({ ...tick, y: plot.y(tick.value) })), "density");
}

// ---- 3. The widget ---------------------------------------------------------------------------------------------

const ORDERS = { 1: "1 (DDIM)", 2: "2", 3: "3" };
const SPACINGS = {
  time: "time: equal in t",
  quadratic: "quadratic: equal in √t",
  log_snr: "log_snr: equal in λ",
  edm: "edm: equal in (σ/α)^(1/7)",
};
const PREDICTIONS = { noise: "noise", data: "data" };
/** The controls, plots and text of one widget, as elements that `mount` fills and listens to. */
function buildPage(data) {
  const prefix = `sfbc-diffusion-${Math.random().toString(36).slice(2)}`; // several modules share one page
  const steps = labelledSlider(`${prefix}-steps`, "Evaluations D", data.max_steps);
  steps.input.min = 1;
  const order = labelledSelect(`${prefix}-order`, "Order", ORDERS);
  const spacing = labelledSelect(`${prefix}-spacing`, "Placement", SPACINGS);
  const prediction = labelledSelect(`${prefix}-prediction`, "Prediction", PREDICTIONS);
  const time = labelledSlider(`${prefix}-time`, "Time reached t", 1);
  const play = element("button", { type: "button" });
  play.hidden = window.matchMedia("(prefers-reduced-motion: reduce)").matches; // the slider does the same at rest
  time.row.append(play);
  const left = element("canvas", { role: "img" }), right = element("canvas", { role: "img" });
  const rightCaption = element("div", { className: "sfbc-caption" });
  const summary = element("p", { className: "sfbc-summary", role: "status", "aria-live": "polite" });
  const root = element("section",
    { className: "sfbc-explorer", role: "group", "aria-labelledby": `${prefix}-title`, "data-lm-suppress-shortcuts": "true" },
    element("style", {}, STYLE),
    element("p", { id: `${prefix}-title`, className: "sfbc-title" }, data.title),
    steps.row, order.row, spacing.row, prediction.row, time.row,
    ...plotArea(
      ["Paths", element("div", { className: "sfbc-caption" }, "Paths of the samples"), left, legend(
        ["line", "law", "sample that ends on the data"],
        ["line", "best", "sample that ends off the data"],
        ["dash", "exact", "exact path of some samples"],
        ["dash", "muted", "end of a step"],
        ["tick", "text", "evaluation"],
      )],
      ["Samples", rightCaption, right, legend(["fill", "law-fill", "samples"], ["line", "exact", "exact density"])]),
    summary,
  );
  return { root, steps, order, spacing, prediction, time, play, left, right, rightCaption, summary };
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
  const { mixture, limits } = data, schedule = vpSchedule(...data.betas);
  const start = unpackFloats(data.start), exact = unpackFloats(data.exact);
  const state = { ...initial }, page = buildPage(data);
  const every = Math.ceil(start.length / EXACT_PATHS), chosen = start.filter((_, i) => i % every === Math.floor(every / 2));
  const exactPaths = solve(mixture, schedule, chosen, FINE, ...data.times);
  let solved = null, playing = 0;

  function draw() {
    const colors = themeColors(page.root), shown = stepReached(solved.times, state.time);
    const t = solved.times[shown], samples = solved.states[shown];
    const end = judge(solved.states[solved.states.length - 1], exact, mixture, data.off_data_deviations);
    const outside = samples.filter((x) => x < limits[0] || x > limits[1]).length;

    drawPaths(page.left, colors, { solved, shown, off: end.off, exactPaths, schedule, limits, label: data.x_label });
    drawSamples(page.right, colors,
      { samples, density: mixtureAt(mixture, schedule, t).density, limits, label: data.x_label });
    let text = `D = ${state.steps}: ${describeSteps(solved.orders)}. Shown: t = ${formatNumber(t)}, after `
      + `${solved.spent[shown]} of ${state.steps} evaluations. At the end the RMS distance to the exact end points is `
      + `${formatNumber(end.rmsError)}, and ${end.offData} of ${start.length} samples are off the data, more than `
      + `${data.off_data_deviations} deviations from every mode.`;
    if (outside) text += ` Outside the plots: ${outside} of the samples shown.`;
    page.summary.textContent = text;
    page.rightCaption.textContent = `Samples at t = ${formatNumber(t)}`;
    page.left.setAttribute("aria-label", `Paths of the samples over λ. ${text}`);
    page.right.setAttribute("aria-label", `Histogram of the samples and the exact density at t = ${formatNumber(t)}. ${text}`);
    Object.assign(page.root.dataset, {
      steps: state.steps, order: state.order, spacing: state.spacing, prediction: state.prediction, shown,
      time: t, rmsError: end.rmsError, offData: end.offData, ready: "true",
    });
  }

  const { redraw, stop } = followPage(page.root, draw);

  function update(patch) {
    Object.assign(state, patch);
    solved = solve(mixture, schedule, start, state, ...data.times);
    const shown = stepReached(solved.times, state.time), t = formatNumber(solved.times[shown]);
    page.steps.input.value = state.steps;
    page.steps.input.setAttribute("aria-valuetext", `${state.steps} evaluations`);
    page.steps.value.textContent = state.steps;
    for (const name of ["order", "spacing", "prediction"]) page[name].input.value = state[name];
    page.time.input.max = solved.orders.length;
    page.time.input.value = shown;
    page.time.input.setAttribute("aria-valuetext", `t = ${t}, after ${solved.spent[shown]} of ${state.steps} evaluations`);
    page.time.value.textContent = t;
    redraw();
  }

  function changedByReader(patch) {
    pause();
    update(patch);
    onChange?.({ ...state });
  }

  /** End the film, if there is one. */
  function pause() {
    clearInterval(playing);
    playing = 0;
    page.play.textContent = "Play";
    page.summary.setAttribute("aria-live", "polite");
  }

  /** Show step after step from the noise on, in about three seconds. */
  function play() {
    page.play.textContent = "Stop";
    page.summary.setAttribute("aria-live", "off"); // or a screen reader reads every step
    update({ time: solved.times[0] });
    const wait = Math.min(700, 3000 / solved.orders.length);
    playing = setInterval(() => {
      const next = stepReached(solved.times, state.time) + 1;
      if (next === solved.orders.length) changedByReader({ time: solved.times[next] });
      else update({ time: solved.times[next] });
    }, wait);
  }

  page.steps.input.addEventListener("input", () => changedByReader({ steps: Number(page.steps.input.value) }));
  page.order.input.addEventListener("change", () => changedByReader({ order: Number(page.order.input.value) }));
  for (const name of ["spacing", "prediction"]) {
    page[name].input.addEventListener("change", () => changedByReader({ [name]: page[name].input.value }));
  }
  page.time.input.addEventListener("input",
    () => changedByReader({ time: solved.times[Number(page.time.input.value)] }));
  page.play.addEventListener("click", () => (playing ? changedByReader({}) : play()));

  host.replaceChildren(page.root); // only now: had anything above failed, the still picture would have stayed
  pause();
  update({});
  return {
    update,
    destroy: () => {
      pause();
      stop();
    },
  };
}

/** The values that a page's address may give to the state. */
export const diffusionParsers = ({ max_steps: most, times: [start, end] }) => ({
  steps: parseWhole(1, most),
  order: parseWhole(1, 3),
  spacing: parseOneOf(Object.keys(SPACINGS)),
  prediction: parseOneOf(Object.keys(PREDICTIONS)),
  time: parseNumber(end, start),
});

const { mountStatic, render } = hosts(mount, ["steps", "order", "spacing", "prediction", "time"], diffusionParsers);
export default { render };
