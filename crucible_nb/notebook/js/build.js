// `npm run build`: bundle src/ and plotly.js (basic) into ../static/dashboard.js and dashboard.css, and the loader.
import { build } from "esbuild";

const folder = process.argv[2] ?? "../static";
const options = { bundle: true, minify: true, format: "esm", target: "es2022", legalComments: "inline" };
await build({ ...options, entryPoints: ["src/index.js"], outfile: `${folder}/dashboard.js` });
await build({ ...options, entryPoints: ["src/loader.js"], outfile: `${folder}/loader.js` });
await build({ ...options, entryPoints: ["src/runs.js"], outfile: `${folder}/runs.js` });
for (const name of ["dashboard", "runs"]) await build({ entryPoints: [`src/${name}.css`], minify: true, outfile: `${folder}/${name}.css` });
