// The page's entry: it only composes. Nothing of the page is drawn before the script is there, and nothing is inline.
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { render } from "preact";
import { Dashboard } from "./dashboard.ts";
import { Shell } from "./shell.tsx";

const root = document.getElementById("app");
if (root === null) throw new Error("Page has no place for the dashboard");
const dashboard = new Dashboard();
render(<Shell dashboard={dashboard} />, root);
await dashboard.start();
