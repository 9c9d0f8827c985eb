/**
 * Recomputing a commitment in the browser: the log holds `sha256(PREFIX + salt + text)`, the receipt holds the salt, and
 * the page holds the text. The same rule as `appliance/audit/commitment.py`.
 */

const PREFIX = new TextEncoder().encode("sovereign/commitment/v1\n");

/**
 * Whether the text is the one that was committed to. `unknown`: the receipt lacks the commitment or its salt, or the
 * browser offers no hashing here (pages that are not served securely).
 *
 * @param {{ answer?: string, answer_salt?: string }} commitments
 * @param {string} text
 * @returns {Promise<"matches" | "differs" | "unknown">}
 */
export async function answerMatches({ answer, answer_salt: salt }, text) {
  if (!answer || !salt || !globalThis.crypto?.subtle) return "unknown";
  const saltBytes = base64(salt);
  if (saltBytes === null) return "unknown";
  return (await commit(new TextEncoder().encode(text), saltBytes)) === answer ? "matches" : "differs";
}

/**
 * @param {Uint8Array} content
 * @param {Uint8Array} salt
 * @returns {Promise<string>} `sha256:` and 64 hex digits
 */
export async function commit(content, salt) {
  const whole = new Uint8Array([...PREFIX, ...salt, ...content]);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  return `sha256:${[...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * @param {string} text
 * @returns {Uint8Array | null} null when it is no base64
 */
function base64(text) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}
