// How the whole service stands, as a worker says it over HTTP: asked of the keeper, who asks all workers.
import type { Standing } from "../front.ts";
import type { AsksKeeper } from "./remote_back.ts";

export function remoteStanding(keeper: AsksKeeper, contentType: string): Standing {
  return {
    readiness: { report: () => keeper.ask("readiness", null) },
    stream: {
      usageOf: (tenantId) => keeper.ask("tenantUsage", tenantId),
      async mostDevicesOf(tenantId) {
        return (await keeper.ask("tenantUsage", tenantId)).mostDevices;
      },
      async feedOf(tenantId) {
        return await keeper.ask("feedState", tenantId) ?? undefined;
      },
      sources: async () => {
        const { telemetry, alerts } = await keeper.ask("sourceStates", null);
        return { telemetry: { state: telemetry }, alerts: { state: alerts } };
      },
    },
    metricsText: { contentType, text: () => keeper.ask("metricsText", null) },
    isAlive: () => keeper.ask("alive", null),
  };
}
