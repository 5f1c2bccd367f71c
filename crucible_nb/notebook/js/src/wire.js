// Decode the messages of the kernel, which crucible_nb/notebook/wire.py defines.

/** @typedef {{first: number, base: number, width: number}} Arm */
/** @typedef {{arm: number, id: number, label: string, start: number, end: number, count: number, severity: string, metrics: string[], reason: string}} Incident */
/** @typedef {{arm: number, letter: string, time: number, kind: string, severity: string, reason: string, action: string}} Alert */

export const VERSION = 2;

/**
 * Decode the binary part of one arm.
 * @param {DataView} view
 * @param {string[]} cards names of the float64 numbers at its start
 * @param {number} width number of float32 values per bin
 */
export function decode(view, cards, width) {
  // copied, since a buffer may start at any offset
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  const head = new Float64Array(bytes, 0, cards.length);
  const rows = new Float32Array(bytes, 8 * cards.length);
  return {
    cards: Object.fromEntries(cards.map((name, i) => [name, head[i]])),
    rows,
    count: width ? rows.length / width : 0,
  };
}
