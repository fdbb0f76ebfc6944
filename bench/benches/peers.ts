// The service beside what people would pick instead, each at the same work and in the same rounds, where it is installed.
// It must compare with nothing that does not run here, and fail for nothing that is not installed.
import type { Bench } from "../bench.ts";
import { measureFlood } from "../peers/flood.ts";
import { findCentrifugo } from "../peers/centrifugo.ts";
import { findFastApi } from "../peers/fastapi.ts";
import { leftOut } from "../peers/left_out.ts";
import { findNodeWs } from "../peers/node_ws.ts";
import { measurePolling } from "../peers/polling.ts";
import { measureSteady } from "../peers/steady.ts";
import { sharedWorld } from "../world.ts";
import { CROWD, crowdOf } from "./fresh.ts";

export const peers: Bench = {
  name: "peers",
  shares: [sharedWorld.name, CROWD],
  work:
    "The work of `fanout` by Node with npm:ws (ready strings in a loop) and by Centrifugo (fed by its batch API, and by " +
    "its shared poll from an endpoint that costs nothing); the sockets of `fresh` by Centrifugo without any database, and " +
    "by the service with both; as many as one process of FastAPI holds with a query for each device",
  async run({ shared, ...options }) {
    const [node, centrifugo, fastApi] = await Promise.all([
      findNodeWs(),
      findCentrifugo(),
      findFastApi(),
    ]);
    const flood = await measureFlood({ node, centrifugo }, options);
    const polling = fastApi === null
      ? [leftOut("FastAPI", "BENCH_PYTHON names a Python that has it and aiohttp")]
      : await measurePolling({ fastApi, world: await shared.get(sharedWorld) }, options);
    const steady = centrifugo === null
      ? [leftOut("Centrifugo", "BENCH_CENTRIFUGO names it")]
      : await measureSteady({ centrifugo, crowd: await shared.get(crowdOf(options)) }, options);
    return [...flood, ...steady, ...polling];
  },
};
