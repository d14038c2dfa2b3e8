/* New candidates of one state, drawn in the page, and the law of the selected action as a mean over many draws of candidates.
 * Touches no page: tested under Node against numerics.py.
 *
 * Draws are numbered from 1. The first are the candidates that Python gave; the others are the same on every page.
 */

/** All draws of a state, kept once made: `of(draw, qIndex)` returns [actions, q], all `total` of them. */
export function candidateDraws({ grid, density, qs }, given, givenQIndex) {
  const total = given[0].length, actions = [given[0]];
  const integral = cumulativeIntegral(grid, density), mass = integral[integral.length - 1];
  /** By the inverse of the distribution function. */
  const drawn = (draw) => given[0].map((_, i) =>
    interpolate(grid, fractionalIndex(integral, mass * stateUniform((draw - 2) * total + i))));
  let qIndexKept = -1, kept = []; // Q of all draws, for one setting of Q
  return {
    of(draw, qIndex) {
      if (draw === 1 && qIndex === givenQIndex) return given;
      if (qIndex !== qIndexKept) [qIndexKept, kept] = [qIndex, []];
      actions[draw - 1] ??= drawn(draw);
      kept[draw - 1] ??= actions[draw - 1].map((action) => interpolate(qs[qIndex], fractionalIndex(grid, action)));
      return [actions[draw - 1], kept[draw - 1]];
    },
  };
}

/** The mean over draws of the law of the selected action, in bins. Thousands of draws are shared out over several frames. */
export function lawAverage(low, high, bins) {
  let mass = new Float64Array(bins), count = 0, settings = "";
  return {
    /**
     * Go on with the mean up to `draws`, for at most so many milliseconds; with other settings it begins anew.
     * @returns {{ law: Float64Array, count: number }} The mean so far, and over how many draws.
     */
    advance(candidatesOf, { alpha, num_candidates: used, selection, q_index: qIndex, draws }, milliseconds) {
      const now = [alpha, used, selection, qIndex].join();
      if (now !== settings || draws < count) [mass, count, settings] = [new Float64Array(bins), 0, now];
      const end = performance.now() + milliseconds;
      while (count < draws) {
        const [actions, q] = candidatesOf(count + 1, qIndex).map((values) => values.subarray(0, used));
        const law = binSelected(actions, summarize(actions, q, alpha, selection), selection, low, high, bins);
        law.forEach((probability, bin) => { mass[bin] += probability; });
        count += 1;
        if (count % 16 === 0 && performance.now() > end) break;
      }
      return { law: mass.map((value) => value / count), count };
    },
  };
}

