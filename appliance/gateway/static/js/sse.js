/**
 * Server-sent events as the HTML standard's "event stream interpretation" reads them, from chunks of text that may
 * break anywhere. Pure: no network, no clock. `id` and `retry` are read over, because an answer is never resumed.
 *
 * @typedef {{ event: string, data: string }} ServerEvent
 */
export class EventParser {
  #rest = "";
  #event = "";
  /** @type {string[]} */
  #data = [];
  #started = false;

  /**
   * The events that this chunk completes. A line that is not finished waits for the next chunk; an event that no blank
   * line finished is never given out, as the standard asks.
   *
   * @param {string} chunk
   * @returns {ServerEvent[]}
   */
  feed(chunk) {
    let text = this.#rest + chunk;
    if (!this.#started && text.length > 0) {
      this.#started = true;
      text = text.replace(/^\uFEFF/, "");
    }
    // A trailing CR may be half of a CRLF: it waits too.
    const held = text.endsWith("\r") ? "\r" : "";
    const lines = text.slice(0, text.length - held.length).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + held;
    return lines.flatMap((line) => this.#line(line));
  }

  /**
   * @param {string} line
   * @returns {ServerEvent[]}
   */
  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return [];
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    return [];
  }

  /** @returns {ServerEvent[]} */
  #dispatch() {
    const complete = this.#data.length > 0 ? [{ event: this.#event || "message", data: this.#data.join("\n") }] : [];
    this.#event = "";
    this.#data = [];
    return complete;
  }
}
