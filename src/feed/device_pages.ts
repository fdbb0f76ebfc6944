// One device's answer of a shared read, cut for each instant that was asked after. Who asked for the same samples is
// given the very same page, so that whatever is made of it is made once; it is never changed.
import type { HistoryPage } from "./seam.ts";

export class DevicePages {
  readonly #whole: HistoryPage;
  /** By the index of their first sample. */
  readonly #pages = new Map<number, HistoryPage>();

  /** The samples ascend. */
  constructor(whole: HistoryPage) {
    this.#whole = whole;
    this.#pages.set(0, whole);
  }

  /** The samples that are later than the instant. */
  after(instant: string): HistoryPage {
    const { samples } = this.#whole;
    let first = 0;
    for (let end = samples.length; first < end;) {
      const middle = (first + end) >> 1;
      if ((samples[middle]?.timestamp ?? "") > instant) end = middle;
      else first = middle + 1;
    }
    let page = this.#pages.get(first);
    if (page === undefined) {
      page = { ...this.#whole, samples: samples.slice(first) };
      this.#pages.set(first, page);
    }
    return page;
  }
}
