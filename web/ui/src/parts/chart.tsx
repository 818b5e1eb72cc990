import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Histogram, Series } from "../api";
import { num } from "../api";
import { ns } from "../format";

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

type Make = (width: number, height: number) => { options: uPlot.Options; data: uPlot.AlignedData };

/** A chart that keeps the width of its place and the colours of the scheme. */
function Chart({ make, label, id, height = 240 }: { make: Make; label: string; id: string; height?: number }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const at = place.current!;
    let chart: uPlot | undefined;
    const draw = () => {
      chart?.destroy();
      const { options, data } = make(at.clientWidth, height);
      chart = new uPlot(options, data, at);
    };
    draw();
    const resized = new ResizeObserver(() => chart?.setSize({ width: at.clientWidth, height }));
    resized.observe(at);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      scheme.removeEventListener("change", draw);
      chart?.destroy();
    };
  }, [make, height]);
  return <div class="chart" ref={place} role="img" aria-label={label} data-testid={id} />;
}

function axis(more: uPlot.Axis): uPlot.Axis {
  const line = colour("--line");
  return {
    stroke: colour("--dim"),
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1, size: 4 },
    font: "11px system-ui, sans-serif",
    ...more,
  };
}

/** A dashed line with its name at a value of x. */
function marks(values: [string, number, string][]): uPlot.Plugin {
  const draw = (chart: uPlot) => {
    const { ctx, bbox } = chart;
    const dpr = devicePixelRatio;
    ctx.save();
    ctx.font = `${11 * dpr}px system-ui, sans-serif`;
    values.forEach(([name, value, tone], index) => {
      const x = Math.round(chart.valToPos(value, "x", true));
      if (Number.isNaN(value) || x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.strokeStyle = ctx.fillStyle = colour(tone);
      ctx.setLineDash([4 * dpr, 3 * dpr]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const right = x > bbox.left + bbox.width * 0.85;
      ctx.textAlign = right ? "right" : "left";
      ctx.fillText(name, x + (right ? -4 : 4) * dpr, bbox.top + (12 + 14 * index) * dpr);
    });
    ctx.restore();
  };
  return { hooks: { draw } };
}

export function HistogramChart({ of }: { of: Histogram }) {
  const make: Make = (width, height) => {
    const start = num(of.start_ns), step = num(of.width_ns), buckets = of.count ?? 0;
    const x = Array.from({ length: buckets }, (_, index) => start + step * (index + 0.5));
    const y = new Array<number>(buckets).fill(0);
    for (const bucket of of.buckets) y[num(bucket.bucket)] = num(bucket.n);
    const accent = colour("--accent");
    const options: uPlot.Options = {
      width,
      height,
      cursor: { y: false, points: { show: false } },
      legend: { show: true },
      scales: { x: { time: false, range: [start, start + step * buckets] }, y: { range: (_u, _min, max) => [0, max * 1.08 || 1] } },
      axes: [
        axis({ values: (_u, values) => values.map((value) => ns(value)), space: 80, size: 30 }),
        axis({ size: 56, values: (_u, values) => values.map((value) => (Number.isInteger(value) ? String(value) : "")) }),
      ],
      series: [
        { label: "latency", value: (_u, value) => (value == null ? "–" : `${ns(value - step / 2)} … ${ns(value + step / 2)}`) },
        {
          label: "n", stroke: accent, fill: accent + "b0", width: 0, points: { show: false },
          paths: uPlot.paths.bars!({ size: [0.92, Infinity], align: 0 }),
        },
      ],
      plugins: [marks([
        [`p50 ${ns(of.hop.p50_ns)}`, num(of.hop.p50_ns), "--text"],
        [`p99 ${ns(of.hop.p99_ns)}`, num(of.hop.p99_ns), "--warn"],
      ])],
    };
    return { options, data: [x, y] };
  };
  return <Chart make={useStable(make, of)} label="Histogram of latency" id="histogram" />;
}

export function SeriesChart({ of }: { of: Series }) {
  const make: Make = (width, height) => {
    const start = BigInt(of.start_ts), step = BigInt(of.width_ns);
    const n = of.count;
    // Seconds are exact enough to draw: a bucket is never narrower than a pixel.
    const x = Array.from({ length: n }, (_, i) => Number((start + step * BigInt(i)) / 1000n) / 1e6);
    const columns = ["p50_ns", "p99_ns", "max_ns", "n"].map((name) => {
      const values = new Array<number | null>(n).fill(null);
      for (const bucket of of.buckets) values[num(bucket.bucket)] = num(bucket[name]);
      return values;
    });
    const value = (_u: uPlot, v: number) => (v == null ? "–" : ns(Math.round(v)));
    const line = (label: string, tone: string, width: number): uPlot.Series => ({
      label, stroke: colour(tone), width, value, spanGaps: true, points: { show: n < 60, size: 4 },
    });
    const options: uPlot.Options = {
      width,
      height,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
      cursor: { y: false },
      scales: { y: { range: (_u, min, max) => [Math.min(0, min), max * 1.05 || 1] }, n: { range: (_u, _min, max) => [0, max * 4 || 1] } },
      axes: [
        axis({ values: (_u, ticks) => ticks.map((tick) => new Date(tick * 1e3).toISOString().slice(11, 23).replace(/\.000$/, "")), space: 90, size: 30 }),
        axis({ size: 72, values: (_u, ticks) => ticks.map((tick) => ns(Math.round(tick))) }),
      ],
      series: [
        { label: "from", value: (_u, v) => (v == null ? "–" : new Date(v * 1e3).toISOString().slice(11, 23)) },
        line("p50", "--accent", 1.75),
        line("p99", "--warn", 1.25),
        line("max", "--bad", 0.75),
        {
          label: "n", scale: "n", stroke: colour("--dim"), fill: colour("--dim") + "38", width: 0,
          points: { show: false }, paths: uPlot.paths.bars!({ size: [1, Infinity], align: 1 }),
        },
      ],
    };
    return { options, data: [x, ...columns] };
  };
  return <Chart make={useStable(make, of)} label="Latency over time: median, 99th percentile, maximum" id="series" />;
}

/** The same function as long as what it draws is the same. */
function useStable(make: Make, of: unknown): Make {
  const kept = useRef<{ of: unknown; make: Make }>({ of, make });
  if (kept.current.of !== of) kept.current = { of, make };
  return kept.current.make;
}
