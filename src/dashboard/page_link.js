// One WebSocket that comes back by itself: full jitter, a ceiling, and an end where the close code says so.

const CEILING_MS = 30_000;
const FLOOR_MS = 250;
/** The least wait after a close that asks for patience. */
const PATIENT_MS = 5_000;
/** A socket that lived this long was a success, and the next wait is short again. */
const STEADY_MS = 5_000;

const NEW_TOKEN = 4001;
const FINAL = new Set([1009, 4003]);
const PATIENT = new Set([1008, 1013]);

/**
 * Phases: connecting, live, waiting (`retryAt`), refused (`reason`, `needsToken`).
 * `onPhase` hears of each, `onMessage` of each message while live.
 */
export class Link {
  #url;
  #token;
  #subscriptions;
  #onPhase;
  #onMessage;
  #socket = null;
  #timer = null;
  #attempt = 0;
  #isEnded = false;

  constructor({ url, token, subscriptions, onPhase, onMessage }) {
    this.#url = url;
    this.#token = token;
    this.#subscriptions = subscriptions;
    this.#onPhase = onPhase;
    this.#onMessage = onMessage;
    this.#connect();
  }

  /** Ends a wait. */
  hurry() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  close() {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  #connect() {
    this.#timer = null;
    this.#onPhase({ name: "connecting" });
    const url = new URL(this.#url);
    url.searchParams.set("token", this.#token);
    const socket = new WebSocket(url);
    this.#socket = socket;
    let openedAt = null;
    socket.onopen = () => {
      openedAt = Date.now();
      for (const message of this.#subscriptions) socket.send(JSON.stringify(message));
    };
    socket.onmessage = ({ data }) => {
      if (this.#isEnded) return;
      // A refused client's socket opens too; only one that is answered is live.
      this.#onPhase({ name: "live" });
      this.#onMessage(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#isEnded) return;
      if (openedAt !== null && Date.now() - openedAt >= STEADY_MS) this.#attempt = 0;
      this.#closed(code, reason);
    };
  }

  #closed(code, reason) {
    if (code === NEW_TOKEN || FINAL.has(code)) {
      this.#isEnded = true;
      this.#onPhase({
        name: "refused",
        reason: reason || `closed with ${code}`,
        needsToken: code === NEW_TOKEN,
      });
      return;
    }
    const ceilingMs = Math.min(CEILING_MS, 1_000 * 2 ** this.#attempt++);
    const leastMs = PATIENT.has(code) ? PATIENT_MS : FLOOR_MS;
    const delayMs = leastMs + Math.random() * Math.max(0, ceilingMs - leastMs);
    this.#timer = setTimeout(() => this.#connect(), delayMs);
    this.#onPhase({ name: "waiting", retryAt: Date.now() + delayMs });
  }
}
