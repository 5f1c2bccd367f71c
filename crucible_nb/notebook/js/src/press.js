// Whether a mouse is pressed on a view: nothing is repainted meanwhile, since what is pressed must not vanish under the pointer.

const LONGEST = 3000; // ms without a movement after which a release was missed, as that of a list of the system

export class Press {
  /** @param {HTMLElement} root @param {() => void} released */
  constructor(root, released) {
    this.since = null;
    const begin = (event) => {
      if (event.target.closest?.("select")) return; // its list is a window of the system
      this.since = performance.now();
    };
    const move = (event) => {
      if (this.since !== null && event.buttons) this.since = performance.now();
    };
    const end = () => {
      if (this.since === null) return;
      this.since = null;
      setTimeout(released, 0); // after the click
    };
    root.addEventListener("pointerdown", begin, true);
    addEventListener("pointermove", move, true);
    addEventListener("pointerup", end, true);
    addEventListener("pointercancel", end, true);
    this.close = () => {
      removeEventListener("pointermove", move, true);
      removeEventListener("pointerup", end, true);
      removeEventListener("pointercancel", end, true);
    };
  }

  get held() {
    return this.since !== null && performance.now() - this.since < LONGEST;
  }
}
