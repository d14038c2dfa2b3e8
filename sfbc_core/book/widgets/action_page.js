/* What the action explorer consists of on a page: controls, plots, legends and text. */

const MAP_MODES = {
  mean: "Mean action E[a | s]",
  greedy: "Greedy action (highest Q)",
  sampled: "One sampled action",
};
const SELECTIONS = { sample: "by softmax(αQ)", greedy: "the highest Q", mean_of_best: "mean of the best four" };
const MAX_DRAWS = 10_000; // as in explorer.py

function candidateLegend(data) {
  return legend(
    ["line", "law", "candidate’s probability"],
    ["line", "best", "best candidate"],
    data.curves.q ? ["line", "q", "Q(s, a), right axis"] : ["dot", "q", "Q of the candidates, right axis"],
    ["dash", "muted", "1/M, the probability at α = 0"],
    ["tick", "muted", "not used: beyond M"],
    ...(data.curves.q ? [["dash", "best", "mean of the best four, when selected"]] : []),
  );
}

function lawLegend(data) {
  return legend(
    ["fill", "law-fill", "selected action"],
    ["dash", "muted", data.curves.density ? "behavior density μ" : "candidates, unweighted"],
    ...(data.curves.q ? [["line", "exact", "exact policy π ∝ μ exp(αQ)"]] : []),
  );
}

/** The controls, plots and text of one widget, as elements that `mount` fills and listens to; `change` takes a new state. */
function buildPage(data, counts, state, change) {
  const prefix = `sfbc-explorer-${Math.random().toString(36).slice(2)}`; // several modules share one page
  const isMap = data.layout === "map", canRedraw = Boolean(data.curves.q);
  const alpha = labelledSlider(`${prefix}-alpha`, "Inverse temperature α", ALPHA_POSITIONS);
  const count = labelledSlider(`${prefix}-count`, "Candidates M", counts.length - 1);
  const qSetting = data.q_setting && labelledSlider(`${prefix}-q`, data.q_setting[0], data.q_setting[1].length - 1);
  const mode = labelledSelect(`${prefix}-mode`, "The map shows", MAP_MODES);
  const selection = labelledSelect(`${prefix}-selection`, "Select", SELECTIONS);
  const left = element("canvas"), right = element("canvas", { role: "img" });
  const leftCaption = element("div", { className: "sfbc-caption" });
  const rightCaption = element("div", { className: "sfbc-caption" });
  const summary = element("p", { className: "sfbc-summary", role: "status", "aria-live": "polite" });
  const hint = element("p", { id: `${prefix}-hint` },
    "Click the map, or focus it and use the arrow keys, to choose the state.");
  if (!isMap) left.setAttribute("role", "img");

  const drawMore = (more) => () => change({ draws: Math.min(MAX_DRAWS, state.draws + more) });
  const draws = buttonRow("Draws of candidates", ["Draw new candidates", drawMore(1)], ["100 more", drawMore(100)],
    ["1000 more", drawMore(1000)], ["Start over", () => change({ draws: 1 })]);
  alpha.input.addEventListener("input",
    () => change({ alpha: posToAlpha(Number(alpha.input.value), data.smallest_alpha, data.max_alpha) }));
  count.input.addEventListener("input", () => change({ num_candidates: counts[Number(count.input.value)] }));
  qSetting?.input.addEventListener("input", () => change({ q_index: Number(qSetting.input.value) }));
  mode.input.addEventListener("change", () => change({ map_mode: mode.input.value }));
  selection.input.addEventListener("change", () => change({ selection: selection.input.value }));

  const root = element("section",
    { className: "sfbc-explorer", role: "group", "aria-labelledby": `${prefix}-title`, "data-lm-suppress-shortcuts": "true" },
    element("style", {}, STYLE),
    element("p", { id: `${prefix}-title`, className: "sfbc-title" }, data.title),
    alpha.row,
    count.row,
    ...(qSetting ? [qSetting.row] : []),
    ...(isMap ? [mode.row] : []),
    ...(canRedraw ? [selection.row, draws] : []),
    ...plotArea(
      [isMap ? "Map" : "Candidates", leftCaption, left, isMap ? hint : candidateLegend(data)],
      [isMap ? "Candidates" : "Law", rightCaption, right, isMap ? candidateLegend(data) : lawLegend(data)]),
    summary,
  );

  /** Let the controls show the state. */
  function show() {
    const say = ({ input, value }, position, words, text) => {
      input.value = position;
      input.setAttribute("aria-valuetext", words);
      value.textContent = text;
    };
    const alphaText = formatNumber(state.alpha), used = state.num_candidates, total = data.shape[2];
    say(alpha, alphaToPos(state.alpha, data.smallest_alpha, data.max_alpha), `alpha ${alphaText}`, alphaText);
    say(count, countToPos(counts, used), `${used} of ${total} candidates`, used);
    if (qSetting) say(qSetting, state.q_index, data.q_setting[1][state.q_index], data.q_setting[1][state.q_index]);
    mode.input.value = state.map_mode;
    selection.input.value = state.selection;
  }
  return { root, left, right, leftCaption, rightCaption, summary, hint, show };
}

