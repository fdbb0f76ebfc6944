// The frame of every view: who, where, and above all whether what is shown is live. It must be drawn whatever fails.
import { useEffect, useRef } from "preact/hooks";
import { AlertsView } from "./alerts_view.tsx";
import { Banner } from "./banner.tsx";
import { ConnectionState } from "./connection_state.tsx";
import type { Dashboard } from "./dashboard.ts";
import { DeviceView } from "./device_view.tsx";
import { FleetView } from "./fleet_view.tsx";
import type { LiveTenant } from "./live_tenant.ts";
import { News } from "./news.tsx";
import { hashOf, type Route } from "./route.ts";
import { SignIn } from "./sign_in.tsx";
import { text } from "./strings.ts";

export function Shell({ dashboard }: { readonly dashboard: Dashboard }) {
  const live = dashboard.live.value;
  const route = dashboard.route.value;
  useEffect(() => {
    document.title = titleOf(live === null ? null : route);
  }, [live, route]);
  // The link that led here is gone with its view: a reader goes on at the top of the new one.
  const place = route.view === "device" ? `device/${route.deviceId}` : route.view;
  const shown = useRef(place);
  useEffect(() => {
    if (shown.current === place) return;
    shown.current = place;
    scrollTo(0, 0);
    document.getElementById("content")?.focus({ preventScroll: true });
  }, [place]);
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          // The fragment names the view, so that a jump must not change it.
          event.preventDefault();
          document.getElementById("content")?.focus();
        }}
      >
        {text.skip}
      </a>
      <header class="bar">
        <div class="brand">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="8" />
            <path d="M4 17h6l3-8 5 15 4-11 2 4h4" />
          </svg>
          <h1>{text.product}</h1>
        </div>
        {live !== null && <Nav live={live} route={route} />}
        {live !== null && <Tenants dashboard={dashboard} />}
        <div class="corner">
          <ConnectionState live={live} />
          {live !== null && dashboard.demo.value === null && (
            <button
              type="button"
              class="quiet"
              onClick={() => dashboard.signOut()}
            >
              {text.signOut}
            </button>
          )}
        </div>
      </header>
      {live !== null && <Banner live={live} dashboard={dashboard} />}
      <main id="content" tabIndex={-1}>
        {live === null
          ? <SignIn dashboard={dashboard} />
          : <View live={live} dashboard={dashboard} route={route} />}
      </main>
      {live !== null && <News live={live} />}
    </>
  );
}

function Nav({ live, route }: { readonly live: LiveTenant; readonly route: Route }) {
  const open = live.counts.value?.alerts?.open ?? null;
  return (
    <nav aria-label={text.nav}>
      <a
        href={hashOf({ view: "fleet" })}
        aria-current={route.view === "alerts"
          ? undefined
          : route.view === "fleet"
          ? "page"
          : "true"}
      >
        {text.fleet}
      </a>
      <a
        href={hashOf({ view: "alerts" })}
        aria-current={route.view === "alerts" ? "page" : undefined}
      >
        {text.alerts}
        {open !== null && open > 0 && <span class="badge">{open.toLocaleString("en")}</span>}
      </a>
    </nav>
  );
}

function Tenants({ dashboard }: { readonly dashboard: Dashboard }) {
  const demo = dashboard.demo.value;
  const chosen = dashboard.tenantName.value;
  if (demo === null) return chosen === null ? null : <p class="tenant">{chosen}</p>;
  return (
    <div class="tenants" role="group" aria-label={text.tenant}>
      {demo.map(({ tenant_id: id, name }) => (
        <button
          key={id}
          type="button"
          aria-pressed={id === chosen}
          onClick={() => id !== chosen && dashboard.chooseTenant(id)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

function View(
  { live, dashboard, route }: {
    readonly live: LiveTenant;
    readonly dashboard: Dashboard;
    readonly route: Route;
  },
) {
  // Another tenant's view must not be drawn with what this one left behind.
  const tenant = dashboard.tenantName.value ?? "";
  if (route.view === "alerts") return <AlertsView key={tenant} live={live} dashboard={dashboard} />;
  if (route.view === "device") {
    return (
      <DeviceView
        key={`${tenant}/${route.deviceId}`}
        live={live}
        dashboard={dashboard}
        route={route}
      />
    );
  }
  return <FleetView key={tenant} live={live} dashboard={dashboard} />;
}

function titleOf(route: Route | null): string {
  if (route === null) return text.product;
  const name = route.view === "device" ? route.deviceId : text[route.view];
  return `${name} · ${text.product}`;
}
