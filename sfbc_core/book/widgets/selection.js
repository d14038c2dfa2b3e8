/* How one of M candidates is selected (Eq. 8), as sfbc_core.selection does it. Touches no page: tested under Node. */

const AVERAGED = 4; // how many candidates "mean_of_best" is of, if there are as many

/** Selection probabilities softmax(alpha * q); subtracting the largest q first keeps them finite for any alpha. */
export function softmaxWeights(q, alpha) {
  // Plain loops: a map needs this for every state at every move of a slider.
  let largest = -Infinity, total = 0;
  for (let i = 0; i < q.length; i++) if (q[i] > largest) largest = q[i];
  const weights = new Float64Array(q.length);
  for (let i = 0; i < q.length; i++) total += weights[i] = Math.exp(alpha * (q[i] - largest));
  for (let i = 0; i < q.length; i++) weights[i] /= total;
  return weights;
}

/** What each candidate counts in the choice; mode is "sample", "greedy" or "mean_of_best", as in select_actions. */
export function modeWeights(q, alpha, mode) {
  if (mode === "sample") return softmaxWeights(q, alpha);
  const weights = new Float64Array(q.length), count = mode === "greedy" ? 1 : Math.min(AVERAGED, q.length);
  for (let chosen = 0; chosen < count; chosen++) {
    let best = -1;
    for (let i = 0; i < q.length; i++) if (!weights[i] && (best < 0 || q[i] > q[best])) best = i;
    weights[best] = 1 / count;
  }
  return weights;
}

/** What the candidates of one state count, and the numbers shown under the figure. */
export function summarize(actions, q, alpha, mode = "sample") {
  const weights = modeWeights(q, alpha, mode);
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

