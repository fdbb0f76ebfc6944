// One WebSocket that comes back by itself: full jitter, a ceiling, and an end where the close code says so. What it
// follows it follows again on each socket.

const CEILING_MS = 30_000;
const FLOOR_MS = 250;
/** The least wait after a close that asks for patience and names no time. */
const PATIENT_MS = 5_000;
/** A socket that lived this long was a success, and the next wait is short again. */
const STEADY_MS = 5_000;
/** A burst may be ten seconds' worth of messages; some are left for what else is said. */
const FIRST_SECONDS = 9;
/** A little over the second that brings as many again. */
const PACE_MS = 1_100;

const NEW_TOKEN = 4001;
const FINAL = new Set([1009, 4003]);
const PATIENT = new Set([1008, 1013]);

/**
 * Phases: connecting, live, waiting (`retryAt`), refused (`reason`, `needsToken`).
 * `onPhase` hears of each, `onMessage` of each message while the socket lives.
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
  /** When a service that is leaving asked to be looked for again. */
  #returnAt = null;
  /** What the last error of this socket asked to wait. */
  #patienceMs = null;
  #offeredToken = null;

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

  /** Goes on with another token of the same tenant and user, without a new socket. */
  renew(token) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      this.#token = token;
      return;
    }
    this.#offeredToken = token;
    this.#send({ action: "auth", token });
  }

  close() {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  #connect() {
    this.#timer =
      this.#returnAt =
      this.#patienceMs =
      this.#offeredToken =
        null;
    this.#onPhase({ name: "connecting" });
    const url = new URL(this.#url);
    url.searchParams.set("token", this.#token);
    const socket = new WebSocket(url);
    this.#socket = socket;
    let openedAt = null;
    socket.onopen = () => {
      openedAt = Date.now();
      this.#send({ action: "hello", features: ["notices"] });
    };
    socket.onmessage = ({ data }) => {
      if (this.#isEnded) return;
      this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#isEnded) return;
      if (openedAt !== null && Date.now() - openedAt >= STEADY_MS) this.#attempt = 0;
      this.#closed(code, reason);
    };
  }

  #receive(message) {
    if (message.type === "hello") this.#subscribe(message.limits);
    if (message.type === "authenticated") this.#token = this.#offeredToken ?? this.#token;
    if (message.type === "reconnect") this.#returnAt = Date.now() + message.after_ms;
    if (message.type === "error") this.#patienceMs = message.retry_after_ms ?? null;
    // A refused client's socket opens too; only one that is answered is live. One that is sent away is on its way back.
    this.#onPhase(
      this.#returnAt === null ? { name: "live" } : { name: "waiting", retryAt: this.#returnAt },
    );
    this.#onMessage(message);
  }

  /** At once what the service takes at once, and the rest as fast as it takes more. */
  #subscribe({ subscriptions: maxDevices, messages_per_second: rate }) {
    let devices = 0;
    const waiting = this.#subscriptions.filter(({ type }) =>
      type !== "device" || ++devices <= maxDevices
    );
    const socket = this.#socket;
    const send = (count) => {
      if (socket !== this.#socket) return;
      for (const message of waiting.splice(0, count)) this.#send(message);
      if (waiting.length > 0) setTimeout(() => send(rate), PACE_MS);
    };
    send(FIRST_SECONDS * rate);
    if (devices > maxDevices) {
      const text = `Only the first ${maxDevices} of ${devices} devices are followed`;
      this.#onMessage({ type: "error", message: text });
    }
  }

  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
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
    const delayMs = this.#returnAt === null
      ? this.#delayMs(code)
      : Math.max(0, this.#returnAt - Date.now());
    this.#timer = setTimeout(() => this.#connect(), delayMs);
    this.#onPhase({ name: "waiting", retryAt: Date.now() + delayMs });
  }

  #delayMs(code) {
    const ceilingMs = Math.min(CEILING_MS, 1_000 * 2 ** this.#attempt++);
    const leastMs = PATIENT.has(code) ? this.#patienceMs ?? PATIENT_MS : FLOOR_MS;
    return leastMs + Math.random() * Math.max(FLOOR_MS, ceilingMs - leastMs);
  }
}
