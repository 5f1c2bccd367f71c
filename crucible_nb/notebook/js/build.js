// `npm run build`: bundle src/ and plotly.js (basic) into ../static/dashboard.js and dashboard.css.
import { build } from "esbuild";

const folder = process.argv[2] ?? "../static";
await build({
  entryPoints: ["src/index.js"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "inline",
  outfile: `${folder}/dashboard.js`,
});
await build({ entryPoints: ["src/dashboard.css"], minify: true, outfile: `${folder}/dashboard.css` });
