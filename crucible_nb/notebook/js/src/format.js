// Format numbers and times; NaN is a dash.

const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });

/** A number with four digits and a thousands separator. */
export function number(x) {
  if (!Number.isFinite(x)) return "–";
  return Math.abs(x) >= 1000 ? whole.format(x) : plain.format(x);
}

/** A count; large ones as 1.2M. */
export function count(x) {
  if (!Number.isFinite(x)) return "–";
  return Math.abs(x) >= 1e6 ? short.format(x) : whole.format(x);
}

/** A proportion as a percentage, with enough digits to distinguish 99.97 from 100. */
export function percent(x) {
  if (!Number.isFinite(x)) return "–";
  const digits = x > 0.99 && x < 1 ? 2 : 1;
  const shown = (100 * x).toFixed(digits);
  return `${shown.replace(/\.0+$/, "")} %`;
}

/** US dollars. */
export function dollars(x) {
  if (!Number.isFinite(x)) return "–";
  return `$${Math.abs(x) >= 100 ? whole.format(x) : Math.abs(x) >= 1 ? x.toFixed(2) : plain.format(x)}`;
}

/** Seconds as 0:42, 12:03 or 3:04:05. */
export function elapsed(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.floor(seconds));
  const two = (x) => String(x).padStart(2, "0");
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** Letters of the arms. */
export const LETTERS = "ABCDEF";

/** The local zone at a time, as UTC or UTC+02:00. */
export function zone(ms) {
  const minutes = -new Date(ms).getTimezoneOffset();
  if (!Number.isFinite(minutes) || minutes === 0) return "UTC";
  const two = (x) => String(Math.floor(Math.abs(x))).padStart(2, "0");
  return `UTC${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}

/** A time as local time of day. */
export function clock(ms) {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? "–" : at.toTimeString().slice(0, 8);
}
