/* The plots of the action explorer: the candidates of a state, the law of the selected action, the map of states. */

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
function drawCandidates(canvas, colors, { actions, q, summary, limits, actionLabel, curves, showMean }) {
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
  if (showMean) {
    const meanX = plot.x(summary.meanAction);
    drawLine(plot, [[meanX, bottom], [meanX, top]], colors.best, { width: 2, dash: [5, 4] });
  }
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

