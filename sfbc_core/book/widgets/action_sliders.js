/* The positions of the action explorer's sliders. Touches no page: tested under Node. */

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

