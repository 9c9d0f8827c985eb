/**
 * Words. One catalogue of flat keys per language, all with the same keys (a test holds that), loaded from this server.
 * Keys stand in the code as literals, so that the test can also tell which are used.
 */

/** @typedef {Record<string, string | number>} Parameters */

export const KNOWN_LANGUAGES = ["en", "fr", "de"];

const state = {
  language: "en",
  /** @type {Record<string, string>} */
  words: {},
  /** @type {Array<() => void>} */
  listeners: [],
};

/** The language that the page speaks now. */
export const language = () => state.language;

/** How numbers and dates are written: the browser's own variety of the language (en-GB, de-CH), if it has one. */
export const locale = () => navigator.languages.find((tag) => tag.startsWith(state.language)) ?? state.language;

/**
 * Load a catalogue and say everything again in it.
 *
 * @param {string} code
 */
export async function speak(code) {
  const response = await fetch(new URL(`../catalogs/${code}.json`, import.meta.url));
  if (!response.ok) throw new Error(`catalogue ${code}: status ${response.status}`);
  state.words = await response.json();
  state.language = code;
  document.documentElement.lang = code;
  translate(document);
  for (const listener of state.listeners) listener();
}

/**
 * Call `listener` after every change of language: parts of the page that were built by code build themselves again.
 *
 * @param {() => void} listener
 */
export function onLanguage(listener) {
  state.listeners.push(listener);
}

/**
 * The message of `key`, with `{name}` replaced by `parameters.name`.
 *
 * @param {string} key
 * @param {Parameters} [parameters]
 * @returns {string}
 */
export function t(key, parameters = {}) {
  const message = state.words[key] ?? key;
  return message.replace(/\{(\w+)\}/g, (whole, name) => String(parameters[name] ?? whole));
}

/**
 * The message for `count` things: `key.one`, or `key.other`, as the language's plural rules say. `{count}` is
 * formatted.
 *
 * @param {string} key
 * @param {number} count
 */
export function tn(key, count) {
  const form = new Intl.PluralRules(locale()).select(count) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { count: new Intl.NumberFormat(locale()).format(count) });
}

/**
 * Fill every element below `root` that names a key: its text, its label and tooltip, its placeholder.
 *
 * @param {ParentNode} root
 */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-i18n]")) {
    element.textContent = t(/** @type {HTMLElement} */ (element).dataset.i18n ?? "");
  }
  for (const element of root.querySelectorAll("[data-i18n-label]")) {
    const label = t(/** @type {HTMLElement} */ (element).dataset.i18nLabel ?? "");
    element.setAttribute("aria-label", label);
    if (element.tagName === "BUTTON") element.setAttribute("title", label);
  }
  for (const element of root.querySelectorAll("[data-i18n-placeholder]")) {
    element.setAttribute("placeholder", t(/** @type {HTMLElement} */ (element).dataset.i18nPlaceholder ?? ""));
  }
}
