/** Numbers, times and digests as the page's language writes them. */

import { locale, t } from "./i18n.js";

const DAY_MS = 86_400_000;
const JOULES_PER_WATT_HOUR = 3600;
const LEAST_SHARE = 0.001;

/**
 * @param {number} value
 * @param {number} [digits] at most this many decimals
 */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

/**
 * A part of one in per cent; what there is a little of is never shown as nothing, nor as all.
 *
 * @param {number} part
 */
export function share(part) {
  const percent = new Intl.NumberFormat(locale(), { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  if (part > 0 && part < LEAST_SHARE) return `<${percent.format(LEAST_SHARE)}`;
  if (part < 1 && part > 1 - LEAST_SHARE) return `>${percent.format(1 - LEAST_SHARE)}`;
  return percent.format(part);
}

/**
 * A time span: milliseconds below one second, then seconds.
 *
 * @param {number} milliseconds
 */
export function duration(milliseconds) {
  const short = milliseconds < 1000;
  return new Intl.NumberFormat(locale(), {
    style: "unit",
    unit: short ? "millisecond" : "second",
    maximumFractionDigits: short ? 0 : 1,
  }).format(short ? milliseconds : milliseconds / 1000);
}

/**
 * Energy in joules, and in watt-hours beside it, the unit on an electricity bill.
 *
 * @param {number} joules
 */
export function energy(joules) {
  const wattHours = new Intl.NumberFormat(locale(), { maximumSignificantDigits: 2 }).format(joules / JOULES_PER_WATT_HOUR);
  return `${number(joules, joules < 10 ? 1 : 0)} J (${wattHours} Wh)`;
}

/**
 * A wait: seconds below two minutes, then minutes, then the time of day.
 *
 * @param {number} seconds
 */
export function wait(seconds) {
  const unit = (/** @type {number} */ value, /** @type {string} */ name) =>
    new Intl.NumberFormat(locale(), { style: "unit", unit: name, unitDisplay: "long" }).format(value);
  if (seconds < 120) return unit(seconds, "second");
  if (seconds < 7200) return unit(Math.ceil(seconds / 60), "minute");
  return unit(Math.ceil(seconds / 3600), "hour");
}

/** @param {string} instant an RFC 3339 time */
export function moment(instant) {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) return instant;
  return new Intl.DateTimeFormat(locale(), { dateStyle: "long", timeStyle: "medium" }).format(date);
}

/** @param {string} instant an RFC 3339 time */
export function day(instant) {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) return instant;
  return new Intl.DateTimeFormat(locale(), { dateStyle: "long" }).format(date);
}

/**
 * The heading under which the list shows a conversation.
 *
 * @param {string} instant when it was last used
 * @param {Date} now
 */
export function age(instant, now) {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const then = new Date(instant).getTime();
  if (then >= midnight) return t("age.today");
  if (then >= midnight - DAY_MS) return t("age.yesterday");
  if (then >= midnight - 7 * DAY_MS) return t("age.week");
  return t("age.older");
}

/**
 * A list in words: "a, b and c".
 *
 * @param {string[]} items
 */
export function listing(items) {
  return new Intl.ListFormat(locale(), { type: "conjunction" }).format(items);
}
