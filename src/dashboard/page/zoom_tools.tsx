// Zoom and pan for those without a mouse, and for those with one: the same as dragging over a chart.
import { text } from "./strings.ts";
import { step, type TimeWindow, zoom } from "./time_window.ts";

export interface ZoomToolsProps {
  readonly window: TimeWindow;
  readonly isZoomed: boolean;
  /** Null follows live again. */
  readonly onChange: (window: TimeWindow | null) => void;
}

const FACTOR = 2;

export function ZoomTools({ window, isZoomed, onChange }: ZoomToolsProps) {
  const { device } = text;
  const tools = [
    ["−", device.zoomOut, () => onChange(zoom(window, FACTOR)), !isZoomed],
    ["+", device.zoomIn, () => onChange(zoom(window, 1 / FACTOR)), false],
    ["‹", device.earlier, () => onChange(step(window, -1)), !isZoomed],
    ["›", device.later, () => onChange(step(window, 1)), !isZoomed],
  ] as const;
  return (
    <div class="zoom" role="group" aria-label={device.view} title={device.dragHint}>
      {tools.map(([sign, label, act, isOff]) => (
        <button
          key={label}
          type="button"
          aria-label={label}
          aria-disabled={isOff}
          onClick={() => isOff || act()}
        >
          {sign}
        </button>
      ))}
      <button
        type="button"
        class="follow"
        aria-pressed={!isZoomed}
        onClick={() => onChange(null)}
      >
        {device.follow}
      </button>
    </div>
  );
}
