/** How a request of the page fails: refused, unanswered, or cut off. */

/** The gateway refused: problem details with the page's few readings of them. */
export class Problem extends Error {
  /** @param {{ status?: number, title?: string, detail?: string, code?: string, hint?: string, retry_after?: number }} details */
  constructor(details) {
    super(details.detail ?? details.title ?? String(details.status ?? ""));
    this.status = details.status ?? 0;
    this.code = details.code ?? "";
    this.detail = details.detail ?? "";
    this.hint = details.hint ?? "";
    this.retryAfter = details.retry_after ?? null;
  }
}

/** Nothing answered at all. */
export class Unreachable extends Error {}

/** The stream ended before it said that it was done. */
export class Cut extends Error {}
