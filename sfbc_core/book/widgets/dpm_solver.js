/* From noise to data in one dimension: the diffusion of a mixture of Gaussians in closed form, and singlestep DPM-Solver.
 *
 * It says again, for the page, what sfbc_core/diffusion has in schedule.py, exact.py, spacings.py and solver_coefficients.py;
 * the derivations stand there. It touches no page and is tested under Node against those files.
 *
 * Sections: 1 schedule, 2 mixture, 3 steps, 4 solver.
 */

// ---- 1. Schedule -----------------------------------------------------------------------------------------------

/** The variance-preserving schedule with β(t) from betaMin to betaMax; see VPSchedule. */
export function vpSchedule(betaMin, betaMax) {
  const slope = betaMax - betaMin;
  const logAlpha = (t) => -0.25 * t * t * slope - 0.5 * t * betaMin;
  return {
    logAlpha,
    alpha: (t) => Math.exp(logAlpha(t)),
    sigma: (t) => Math.sqrt(-Math.expm1(2 * logAlpha(t))),
    logSnr: (t) => logAlpha(t) - 0.5 * Math.log(-Math.expm1(2 * logAlpha(t))),
    time: (logSnr) => {
      const negativeLogAlpha = 0.5 * (logSnr < -25 ? -2 * logSnr : Math.log1p(Math.exp(-2 * logSnr)));
      const root = Math.sqrt((0.5 * betaMin) ** 2 + slope * negativeLogAlpha);
      return (2 * negativeLogAlpha) / (0.5 * betaMin + root);
    },
  };
}

// ---- 2. Mixture ------------------------------------------------------------------------------------------------

/** Σ_k weights[k] N(means[k], deviations[k]²), diffused to time t: density, score and noise as functions of x. */
export function mixtureAt({ weights, means, deviations }, schedule, t) {
  const alpha = schedule.alpha(t), sigma = schedule.sigma(t);
  const centers = means.map((mean) => alpha * mean);
  const variances = deviations.map((deviation) => (alpha * deviation) ** 2 + sigma ** 2);
  const constants = weights.map((weight, k) => Math.log(weight) - 0.5 * Math.log(2 * Math.PI * variances[k]));
  const logJoint = (x, k) => constants[k] - (0.5 * (x - centers[k]) ** 2) / variances[k];

  function score(x) {
    let largest = -Infinity; // taken out of the exponentials: far from all modes each of them is 0
    for (let k = 0; k < weights.length; k++) largest = Math.max(largest, logJoint(x, k));
    let total = 0, pull = 0;
    for (let k = 0; k < weights.length; k++) {
      const share = Math.exp(logJoint(x, k) - largest);
      total += share;
      pull += (share * (centers[k] - x)) / variances[k];
    }
    return pull / total;
  }
  return {
    density: (x) => weights.reduce((sum, _, k) => sum + Math.exp(logJoint(x, k)), 0),
    score,
    noise: (x) => -sigma * score(x), // what a perfect network predicts
  };
}

// ---- 3. Steps --------------------------------------------------------------------------------------------------

const EDM_EXPONENT = 7;

/** In which variable the steps are equal, and back from it to the time; see step_times. */
const spacings = (schedule) => ({
  time: [(t) => t, (u) => u],
  quadratic: [Math.sqrt, (u) => u * u],
  log_snr: [schedule.logSnr, schedule.time],
  edm: [(t) => Math.exp(-schedule.logSnr(t) / EDM_EXPONENT), (u) => schedule.time(-EDM_EXPONENT * Math.log(u))],
});

/** `count` + 1 times from tStart down to tEnd, equally far apart in the variable of the spacing. */
export function stepTimes(schedule, count, spacing, tStart, tEnd) {
  const [forward, inverse] = spacings(schedule)[spacing], first = forward(tStart), last = forward(tEnd);
  return Array.from({ length: count + 1 }, (_, i) => {
    if (i === 0 || i === count) return i ? tEnd : tStart; // the ends are exact by definition
    return inverse(first + (i / count) * (last - first));
  });
}

/** Orders of successive steps that spend exactly so many evaluations; see singlestep_orders. */
export function singlestepOrders(evaluations, order) {
  const whole = Math.floor(evaluations / order), rest = evaluations % order;
  if (order < 3) return [...Array(whole).fill(order), ...Array(rest).fill(1)];
  return rest ? [...Array(whole).fill(3), rest] : [...Array(whole - 1).fill(3), 2, 1];
}

/** φ_k(z) = ∫₀¹ e^((1-u)z) u^(k-1)/(k-1)! du. */
export function phi(k, z) {
  let factorial = 1;
  for (let j = 2; j <= k; j++) factorial *= j;
  if (Math.abs(z) < 0.5) { // the recursion below cancels near 0; the series converges fast there
    let sum = 0, term = 1 / factorial;
    for (let j = 1; j <= 20; j++) {
      sum += term;
      term *= z / (k + j);
    }
    return sum;
  }
  return k === 1 ? Math.expm1(z) / z : (phi(k - 1, z) - k / factorial) / z;
}

// ---- 4. Solver -------------------------------------------------------------------------------------------------

/** Scale of the state at s and weights of the model's outputs, for each evaluation of one step through the nodes. */
function stepUpdates(schedule, nodes, prediction) {
  const [s, ...later] = nodes, inner = later.slice(0, -1);
  const distance = (t) => schedule.logSnr(t) - schedule.logSnr(s);
  const integrals = (t) => {
    const h = distance(t), noise = prediction === "noise";
    const scale = noise ? Math.exp(schedule.logAlpha(t) - schedule.logAlpha(s)) : schedule.sigma(t) / schedule.sigma(s);
    const gain = noise ? -schedule.sigma(t) : schedule.alpha(t), z = noise ? h : -h;
    return { scale, first: gain * h * phi(1, z), second: gain * h * phi(2, z) };
  };
  const end = integrals(later[inner.length]);
  if (inner.length === 0) return [{ time: s, scale: end.scale, weights: [end.first] }];
  const [r1, r2] = inner.map((t) => distance(t) / distance(later[inner.length]));
  const start = integrals(inner[0]), updates = [{ time: s, scale: start.scale, weights: [start.first] }];
  if (inner.length === 1) {
    const slope = end.first / (2 * r1); // φ_1/2 stands for φ_2, as in the published solver
    return [...updates, { time: inner[0], scale: end.scale, weights: [end.first - slope, slope] }];
  }
  const middle = integrals(inner[1]), middleSlope = (middle.second * r2) / r1, slope = end.second / r2;
  return [
    ...updates,
    { time: inner[0], scale: middle.scale, weights: [middle.first - middleSlope, middleSlope] },
    { time: inner[1], scale: end.scale, weights: [end.first - slope, 0, slope] },
  ];
}

/**
 * Solve the probability-flow ODE of a mixture from many starting points.
 * @param {object} settings { steps, order, spacing, prediction }: steps are evaluations D, as in dpm_solver.
 * @returns {{ times, spent, orders, evaluated, states }} at the start and after every step: the time, the evaluations
 *   spent and the states, a Float64Array; the order of every step; and the times of all evaluations.
 */
export function solve(mixture, schedule, start, { steps, order, spacing, prediction }, tStart, tEnd) {
  const grid = stepTimes(schedule, steps, spacing, tStart, tEnd), orders = singlestepOrders(steps, order);
  const times = [tStart], spent = [0], evaluated = [], states = [Float64Array.from(start)];
  for (const cost of orders) {
    const first = spent[spent.length - 1], before = states[states.length - 1], outputs = [];
    let state = before;
    for (const { time, scale, weights } of stepUpdates(schedule, grid.slice(first, first + cost + 1), prediction)) {
      const { noise } = mixtureAt(mixture, schedule, time), alpha = schedule.alpha(time), sigma = schedule.sigma(time);
      outputs.push(state.map((x) => (prediction === "noise" ? noise(x) : (x - sigma * noise(x)) / alpha)));
      state = before.map((x, i) => weights.reduce((sum, weight, j) => sum + weight * outputs[j][i], scale * x));
      evaluated.push(time);
    }
    states.push(state);
    spent.push(first + cost);
    times.push(grid[first + cost]);
  }
  return { times, spent, orders, evaluated, states };
}
