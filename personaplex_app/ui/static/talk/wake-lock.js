// Keeps the screen on while a talk goes on: a phone that locks takes the microphone away.

export class WakeLock {
  constructor() {
    this.wanted = false;
    this.lock = null;
    // a browser lets go of it when the page is hidden
    document.addEventListener("visibilitychange", () => this.renew());
  }

  keep(wanted) {
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.renew();
  }

  async renew() {
    if (!this.wanted) {
      this.lock?.release();
      this.lock = null;
      return;
    }
    if (document.hidden) return;
    // refused where the battery is low; some browsers have none
    const lock = await navigator.wakeLock?.request("screen").catch(() => null);
    this.lock?.release();
    this.lock = lock ?? null;
    if (!this.wanted) this.renew();
  }
}
