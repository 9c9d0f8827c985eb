/**
 * What screen readers hear. One polite region; it is emptied first, so that the same words twice are heard twice.
 * A streamed answer is said once, when it is finished: a region that follows every token cannot be listened to.
 */

import { byId } from "./dom.js";

const LONGEST = 1200;
let turn = 0;

/** @param {string} text */
export function announce(text) {
  const region = byId("live");
  turn += 1;
  const mine = turn;
  region.textContent = "";
  setTimeout(() => {
    if (mine === turn) region.textContent = text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text;
  }, 60);
}
