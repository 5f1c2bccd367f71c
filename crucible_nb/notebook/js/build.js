// `npm run build`: bundle src/ and plotly.js (basic) into ../static/dashboard.js and dashboard.css, and the loader.
import { build } from "esbuild";

const folder = process.argv[2] ?? "../static";
const options = { bundle: true, minify: true, format: "esm", target: "es2022", legalComments: "inline" };
await build({ ...options, entryPoints: ["src/index.js"], outfile: `${folder}/dashboard.js` });
await build({ ...options, entryPoints: ["src/loader.js"], outfile: `${folder}/loader.js` });
await build({ entryPoints: ["src/dashboard.css"], minify: true, outfile: `${folder}/dashboard.css` });
