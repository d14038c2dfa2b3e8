/* What the explorers' plots share: numbers that travel, numbers as text, axes on a canvas.
 *
 * book_widget.py puts this file first into every widget's module, before page.js and the widget's own files: together they
 * are one ECMAScript module without dependencies. The exports of these files are for the tests under Node.
 *
 * Sections: 1 unpacking, 2 numbers as text, 3 axes, 4 colours and marks.
 */

// ---- 1. Unpacking ----------------------------------------------------------------------------------------------

function bytes(base64) {
  const text = atob(base64);
  return new DataView(Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer);
}

/** Little-endian float64 numbers from base64. */
export function unpackFloats(base64) {
  const view = bytes(base64);
  return Float64Array.from({ length: view.byteLength / 8 }, (_, i) => view.getFloat64(8 * i, true));
}

/** Rows of 16-bit codes back to numbers: low[row] + step[row] * code. See pack_rows in packing.py. */
export function unpackRows(packed, columns) {
  const low = unpackFloats(packed.low), step = unpackFloats(packed.step), codes = bytes(packed.codes);
  return Float64Array.from({ length: codes.byteLength / 2 }, (_, i) => {
    const row = Math.floor(i / columns);
    return low[row] + step[row] * codes.getUint16(2 * i, true);
  });
}

// ---- 2. Numbers as text ----------------------------------------------------------------------------------------

/** A few significant digits, with a true minus sign; rounding dust is 0. */
export function formatNumber(value, digits = 3) {
  if (Math.abs(value) < 1e-12) return "0";
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

/** A value as it is worth showing, no finer than a 10 000th of the range that it lies in. */
export function roundToRange(value, [low, high]) {
  if (!(high > low)) return value;
  const unit = 10 ** Math.ceil(Math.log10((high - low) / 1e4));
  return Math.round(value / unit) * unit;
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

// ---- 3. Axes ---------------------------------------------------------------------------------------------------

const PLOT_HEIGHT = 270; // CSS pixels, for STYLE; less on a phone
const FONT = "12px system-ui, sans-serif";

/** Clear the canvas and give it a plot area with linear axes. Returns null while the canvas is not shown. */
function startPlot(canvas, colors, [xLow, xHigh], [yLow, yHigh], marginRight) {
  const cssWidth = canvas.clientWidth, cssHeight = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
  if (!cssWidth) return null;
  canvas.width = Math.round(cssWidth * ratio);
  canvas.height = Math.round(cssHeight * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = FONT;
  const left = 66, top = 10, width = cssWidth - left - marginRight, height = cssHeight - top - 42;
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

const tickCount = (length, spacing) => Math.max(2, Math.floor(length / spacing));

// ---- 4. Colours and marks --------------------------------------------------------------------------------------

/** The bar that explains the colours of a map, beside the plot; `color` maps a fraction to [red, green, blue]. */
function drawColorBar(plot, color, [low, high], label) {
  const { context, top, height, right } = plot, left = right + 12, width = 12;
  for (let y = 0; y < height; y++) {
    context.fillStyle = `rgb(${color(1 - y / (height - 1))})`;
    context.fillRect(left, top + y, width, Math.min(2, height - y)); // overlapping, or the rows show on some screens
  }
  const ticks = niceTicks(low, high, 5).map((tick) => ({ ...tick, y: top + height - ((tick.value - low) / (high - low)) * height }));
  drawYAxis(plot, ticks, label, { x: left + width, side: 1 });
}

/** Mark a place on a map, visible on any colour. */
function drawMarker({ context }, x, y, halfSize = 5) {
  for (const [color, lineWidth] of [["#fff", 5], ["#000", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = lineWidth;
    context.strokeRect(x - halfSize, y - halfSize, 2 * halfSize, 2 * halfSize);
  }
}

/** A colour between the colours of a list, as [red, green, blue]; fraction in [0, 1]. */
function blend(palette, fraction) {
  const position = Math.min(1, Math.max(0, fraction)) * (palette.length - 1);
  const i = Math.min(palette.length - 2, Math.floor(position));
  return palette[i].map((channel, k) => Math.round(channel + (position - i) * (palette[i + 1][k] - channel)));
}
