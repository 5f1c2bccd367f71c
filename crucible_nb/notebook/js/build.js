// One command, `npm run build`: src/ and plotly.js (basic) become ../static/dashboard.js and dashboard.css.
import { build } from "esbuild";

await build({
  entryPoints: ["src/index.js"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "inline",
  outfile: "../static/dashboard.js",
});
await build({ entryPoints: ["src/dashboard.css"], minify: true, outfile: "../static/dashboard.css" });
