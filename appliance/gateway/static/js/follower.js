/** Staying at the end of a growing text, unless the reader has scrolled up; then a button leads back. */

const NEAR = 80;

export class Follower {
  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} button
   */
  constructor(scroller, button) {
    this.scroller = scroller;
    this.button = button;
    this.following = true;
    this.top = 0;
    scroller.addEventListener("scroll", () => this.#note(), { passive: true });
    button.addEventListener("click", () => this.jump());
    const content = /** @type {Element} */ (scroller.firstElementChild);
    const resized = new ResizeObserver(() => this.#grown());
    resized.observe(content);
    resized.observe(scroller);
  }

  get #gap() {
    return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight;
  }

  /** Only a move upwards is the reader's wish: the text may have grown between a scroll of ours and its event. */
  #note() {
    const upwards = this.scroller.scrollTop < this.top;
    this.top = this.scroller.scrollTop;
    if (this.#gap < NEAR) this.following = true;
    else if (upwards) this.following = false;
    this.button.hidden = this.following || this.scroller.querySelector(".thread") === null;
  }

  #grown() {
    if (this.following) this.scroller.scrollTop = this.scroller.scrollHeight;
    this.button.hidden = this.following || this.#gap < NEAR || this.scroller.querySelector(".thread") === null;
  }

  /** Stand at the beginning of a page that is not a conversation. */
  rest() {
    this.following = false;
    this.top = 0;
    this.scroller.scrollTop = 0;
    this.button.hidden = true;
  }

  /** Go to the end and stay there. */
  jump() {
    this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.button.hidden = true;
  }
}
