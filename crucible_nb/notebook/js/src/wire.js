// Reads the messages of the kernel; what they hold is said in crucible_nb/notebook/wire.py.

/** @typedef {{first: number, base: number, width: number}} Arm */
/** @typedef {{arm: number, id: number, label: string, start: number, end: number, count: number, severity: string, metrics: string[], reason: string}} Incident */
/** @typedef {{arm: number, letter: string, time: number, kind: string, severity: string, reason: string, action: string}} Alert */

export const VERSION = 1;

/**
 * The binary part of one arm.
 * @param {DataView} view
 * @param {string[]} cards names of the float64 numbers at its head
 * @param {number} width how many float32 numbers a bin has
 */
export function decode(view, cards, width) {
  // a copy: where a buffer begins is not always a multiple of 8
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  const head = new Float64Array(bytes, 0, cards.length);
  const rows = new Float32Array(bytes, 8 * cards.length);
  return {
    cards: Object.fromEntries(cards.map((name, i) => [name, head[i]])),
    rows,
    count: width ? rows.length / width : 0,
  };
}
