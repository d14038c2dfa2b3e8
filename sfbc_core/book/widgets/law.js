/* The law of the selected action, and the exact policy on a grid. Touches no page: tested under Node. */

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

/** The bin of an action among equal bins on [low, high]; what lies beyond counts in the first or last. */
const binOf = (action, low, high, bins) => Math.min(bins - 1, Math.max(0, Math.floor(((action - low) / (high - low)) * bins)));

/** Probability of each of `bins` equal bins on [low, high] under weighted candidates. */
export function binCandidates(actions, weights, low, high, bins) {
  const mass = new Float64Array(bins);
  for (let i = 0; i < weights.length; i++) mass[binOf(actions[i], low, high, bins)] += weights[i];
  return mass;
}

/** The same for what a mode makes of them: the mean of the best four is one action, which none of them need be. */
export function binSelected(actions, { weights, meanAction }, mode, low, high, bins) {
  return mode === "mean_of_best"
    ? binCandidates([meanAction], [1], low, high, bins) : binCandidates(actions, weights, low, high, bins);
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
  let low = 0, high = last; // values[low] <= value < values[high]
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle;
    else high = middle;
  }
  return low + (value - values[low]) / (values[high] - values[low]);
}

/** The value between two entries at a fractional index. */
function interpolate(values, index) {
  const i = Math.min(Math.floor(index), values.length - 2);
  return values[i] + (index - i) * (values[i + 1] - values[i]);
}

