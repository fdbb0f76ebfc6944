// A client as a page would be one: connects, follows, asks, renews its token, reconnects; it holds every message
// against the ledger. It never misbehaves, so that whatever goes wrong with it is the service's fault.
import type { Random } from "../fuzz/seeded.ts";
import { pause } from "../support/until.ts";
import { DEVICES, privateDevice, TENANTS, tokenOf } from "./fleet.ts";
import type { StressLedger } from "./ledger.ts";
import { openSocket } from "../support/open_socket.ts";

export interface ClientOptions {
  readonly url: string;
  readonly ledger: StressLedger;
  readonly random: Random;
  /** What the trusted proxy in front would say of it. */
  readonly address: string;
}

type Message = Readonly<Record<string, unknown>> & { readonly type?: string };

/** Answers and closes that a client which keeps the rules may get. */
const EXPECTED_CLOSES = new Set([1000, 1005]);

export class OrdinaryClient {
  readonly #options: ClientOptions;
  readonly #tenantId: string;
  readonly #user: string;
  readonly #subscribed = new Set<string>();
  /** The number of the value last seen, a device. */
  readonly #seen = new Map<string, number>();
  #socket: WebSocket | null = null;
  #expiresAt = 0;
  #isLeaving = false;
  #isRenewing = false;
  #lastId = 0;
  lastPushAt = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#tenantId = options.random.pick(TENANTS);
    this.#user = `user-${options.random.integer(1, 5)}`;
  }

  /** Whether it is connected and follows something that is pushed. */
  get isFollowing(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN &&
      DEVICES.some((deviceId) => this.#subscribed.has(deviceId));
  }

  /** Lives until the signal; afterwards it stays connected, follows one device, and waits for `leave`. */
  async live(signal: AbortSignal): Promise<void> {
    const { random, ledger } = this.#options;
    while (!signal.aborted) {
      if (this.#socket === null) await this.#connect();
      else await this.#act(random.next());
      await pause(random.integer(50, 1_500));
    }
    this.#expiresAt = 0;
    if (this.#socket !== null) await this.#leaveSocket();
    await this.#connect({ seconds: 600 });
    this.#send({ action: "subscribe", type: "device", device_id: random.pick(DEVICES) });
    ledger.count("ordinary clients");
  }

  async leave(): Promise<void> {
    await this.#leaveSocket();
  }

  async #connect({ seconds }: { seconds?: number } = {}): Promise<void> {
    const { url, random, ledger, address } = this.#options;
    const lifetime = seconds ?? random.pick([4, 8, 20, 600]);
    const token = await tokenOf(this.#tenantId, { user: this.#user, seconds: lifetime });
    this.#expiresAt = Date.now() + lifetime * 1_000;
    this.#isRenewing = false;
    this.#subscribed.clear();
    this.#seen.clear();
    const socket = openSocket(`${url}?token=${token}`, {
      headers: { "x-forwarded-for": address },
    });
    this.#isLeaving = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.onopen = () => resolve();
    socket.onerror = (event) => event.preventDefault();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => {
      resolve();
      if (this.#socket === socket) this.#closed(code);
    };
    this.#socket = socket;
    await promise;
    ledger.count("ordinary connects");
    if (random.chance(0.5)) this.#send({ action: "hello", features: ["notices"] });
    this.#send({ action: "subscribe", type: "device", device_id: random.pick(DEVICES) });
  }

  async #act(chance: number): Promise<void> {
    const { random } = this.#options;
    const deviceId = random.pick([...DEVICES, privateDevice(this.#tenantId)]);
    if (chance < 0.35) this.#send({ action: "subscribe", type: "device", device_id: deviceId });
    else if (chance < 0.5) {
      this.#send({ action: "unsubscribe", type: "device", device_id: deviceId });
    } else if (chance < 0.6) this.#send({ action: "subscribe", type: "alerts" });
    else if (chance < 0.65) this.#send({ action: "unsubscribe", type: "alerts" });
    else if (chance < 0.75) this.#send({ action: "ping" });
    else if (chance < 0.9) await this.#renew();
    else await this.#leaveSocket();
  }

  async #renew(): Promise<void> {
    const token = await tokenOf(this.#tenantId, { user: this.#user, seconds: 30 });
    // One at a time is verified; the next one is sent when it is answered.
    if (this.#isRenewing || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#isRenewing = true;
    this.#send({ action: "auth", token });
  }

  async #leaveSocket(): Promise<void> {
    const socket = this.#socket;
    if (socket === null) return;
    this.#isLeaving = true;
    if (socket.readyState <= WebSocket.OPEN) socket.close(1000);
    for (let waits = 0; this.#socket !== null && waits < 1_000; waits++) await pause(10);
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ ...message, id: ++this.#lastId }));
  }

  #closed(code: number): void {
    const { ledger } = this.#options;
    this.#socket = null;
    ledger.count(`ordinary closes ${code}`);
    if (EXPECTED_CLOSES.has(code) && this.#isLeaving) return;
    // A token's end, with a second for clocks that are read at two places.
    if (code === 4001 && Date.now() >= this.#expiresAt - 1_000) return;
    ledger.breach("An ordinary client was thrown out", `${this.#tenantId} with ${code}`);
  }

  #receive(message: Message): void {
    const { ledger } = this.#options;
    switch (message.type) {
      case "subscribed":
        if (message.channel === "device") {
          this.#subscribed.add(String(message.device_id));
          this.#seen.delete(String(message.device_id));
        } else this.#subscribed.add("alerts/");
        return;
      case "unsubscribed":
        this.#subscribed.delete(
          message.channel === "device" ? String(message.device_id) : "alerts/",
        );
        return;
      case "telemetry":
        this.#telemetry(message);
        return;
      case "alerts":
        this.#alerts(message);
        return;
      case "authenticated":
        this.#isRenewing = false;
        this.#expiresAt = Date.parse(String(message.expires_at));
        ledger.count("tokens renewed");
        return;
      case "pong":
      case "hello":
      case "token_expiring":
        return;
      default:
        ledger.breach("An ordinary client was told an error", JSON.stringify(message));
    }
  }

  #telemetry(message: Message): void {
    const { ledger } = this.#options;
    const deviceId = String(message.device_id);
    const { metrics } = message.data as { metrics: Readonly<Record<string, unknown>> };
    const number = ledger.numberOf(metrics, { tenantId: this.#tenantId, deviceId });
    if (number === null) {
      ledger.breach(
        "A client saw what its tenant did not write",
        `${this.#tenantId}: ${JSON.stringify(message)}`,
      );
      return;
    }
    if (!this.#subscribed.has(deviceId)) {
      ledger.breach("A client saw a device that it does not follow", JSON.stringify(message));
    }
    if (number < (this.#seen.get(deviceId) ?? 0)) {
      ledger.breach("A client saw time go back", `${this.#seen.get(deviceId)}, then ${number}`);
    }
    this.#seen.set(deviceId, number);
    this.lastPushAt = performance.now();
    ledger.count("telemetry pushes");
  }

  #alerts(message: Message): void {
    const { ledger } = this.#options;
    const alerts = message.alerts as readonly { tenant_id: string; summary: string }[];
    const isOwn = alerts.length === 1 && alerts[0]?.tenant_id === this.#tenantId &&
      alerts[0].summary === `of ${this.#tenantId}`;
    if (!isOwn) {
      ledger.breach(
        "A client saw alerts that are not its tenant's",
        `${this.#tenantId}: ${JSON.stringify(message)}`,
      );
    }
    if (!this.#subscribed.has("alerts/")) {
      ledger.breach("A client saw alerts that it does not follow", JSON.stringify(message));
    }
    ledger.count("alert pushes");
  }
}
