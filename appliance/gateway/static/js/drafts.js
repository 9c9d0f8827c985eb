/**
 * What was typed and not sent yet, kept in this tab only, so that signing in again loses nothing. Tied to the user's
 * name: whoever signs in next in the same tab does not see it. Signing out forgets it.
 */

const DRAFTS = "sovereign.drafts";
const RETURN = "sovereign.return";
/** Key of the draft that belongs to no conversation yet. */
export const NEW = "new";

/** @type {{ user: string, texts: Record<string, string> }} */
let kept = { user: "", texts: {} };

/**
 * Take up the drafts of `user`; those of anybody else are dropped.
 *
 * @param {string} user
 */
export function openDrafts(user) {
  kept = { user, texts: {} };
  try {
    const found = JSON.parse(sessionStorage.getItem(DRAFTS) ?? "null");
    if (found?.user === user && typeof found.texts === "object") kept = found;
  } catch {
    // Storage is switched off or holds something else: drafts live in memory.
  }
  store();
}

/** @param {string} key */
export const draft = (key) => kept.texts[key] ?? "";

/**
 * @param {string} key
 * @param {string} text
 */
export function keepDraft(key, text) {
  if (text === "") delete kept.texts[key];
  else kept.texts[key] = text;
  store();
}

/** Forget every draft. */
export function forgetDrafts() {
  kept = { user: "", texts: {} };
  store();
}

function store() {
  try {
    sessionStorage.setItem(DRAFTS, JSON.stringify(kept));
  } catch {
    // As above: they hold until the page is closed.
  }
}

/** Go to the sign-in page; the open conversation is opened again on the way back. */
export function goToSignIn() {
  try {
    sessionStorage.setItem(RETURN, location.hash);
  } catch {
    // The way back ends at the start page.
  }
  location.assign(`/auth/login?next=%2F&ui_locales=${document.documentElement.lang}`);
}

/** Open what was open before sign-in. */
export function returnFromSignIn() {
  try {
    const hash = sessionStorage.getItem(RETURN);
    sessionStorage.removeItem(RETURN);
    if (hash && location.hash === "") history.replaceState(null, "", hash);
  } catch {
    // Nothing was kept.
  }
}
