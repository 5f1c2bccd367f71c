// A chart as a file: picture (SVG, PNG) or data (CSV).
import Plotly from "plotly.js-basic-dist-min";

const [WIDTH, HEIGHT] = [960, 420];

function save(name, url) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.dataset.crucibleDownload = "";
  document.body.append(link);
  link.click();
  link.remove();
}

export const fileName = (experiment, panel, kind) => `${`${experiment} ${panel}`.replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_|_$/g, "").slice(0, 80)}.${kind}`;

/** Save a chart as a picture with title and legend, on the background of the page. */
export async function savePicture(kind, name, title, traces, layout, colors) {
  const shown = traces.map((trace) => ({ ...trace, showlegend: trace.name !== "range" && trace.name !== "anomaly" }));
  const whole = {
    ...layout, width: WIDTH, height: HEIGHT, paper_bgcolor: colors.paper, showlegend: true,
    font: { ...layout.font, family: "system-ui, sans-serif", size: 13 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    margin: { l: 70, r: 30, t: 90, b: 50 }, title: { text: title.replace(/&/g, "&amp;").replace(/</g, "&lt;"), x: 0, xref: "paper", font: { size: 15 } },
  };
  save(name, await Plotly.toImage({ data: shown, layout: whole }, { format: kind, width: WIDTH, height: HEIGHT, scale: kind === "png" ? 2 : 1 }));
}

export function saveData(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  save(name, url);
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
