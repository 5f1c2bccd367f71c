"""The stylesheet of a report: light, dark and print; nothing scrolls sideways, so nothing is cut off on paper."""

STYLE = """\
:root{color-scheme:light dark;--paper:#fff;--text:#1f2328;--dim:#57606a;--line:#d0d7de;--soft:#f6f8fa;
--a:#3b6ea8;--b:#b05f14;--c:#2a7770;--d:#7a3f9d;--e:#7a5f10;--f:#a13f6b;--bad:#b3261e;--link:#0b57d0}
@media(prefers-color-scheme:dark){:root{--paper:#16181c;--text:#e3e6ea;--dim:#a3abb5;--line:#3d444d;--soft:#1f2329;
--a:#82b4e6;--b:#e6a15a;--c:#6fc4b9;--d:#c79bea;--e:#d8b95c;--f:#e394b6;--bad:#ff8f7d;--link:#8ab4f8}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1.5rem 1.2rem 3rem;background:var(--paper);color:var(--text);
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .3rem}h2{font-size:1.25rem;margin:2rem 0 .6rem;padding-bottom:.2rem;
border-bottom:1px solid var(--line)}h3{font-size:1.05rem;margin:1.3rem 0 .4rem}
h4{font-size:1rem;margin:1rem 0 .3rem}p{margin:.3rem 0 .6rem;max-width:48rem}
.dim,figcaption,caption,dt{color:var(--dim)}a{color:var(--link)}ul{margin:.3rem 0 .8rem;padding-left:1.2rem}
table{width:100%;border-collapse:collapse;margin:.4rem 0 1rem;font-variant-numeric:tabular-nums;font-size:13px}
caption{text-align:left;padding:.2rem 0}th,td{text-align:left;vertical-align:top;padding:.25rem .5rem .25rem 0;
border-bottom:1px solid var(--line);unicode-bidi:plaintext}th{font-weight:600}tbody th{font-weight:400}
th.n,td.n{text-align:right}.k{overflow-wrap:normal}
dl{margin:.4rem 0 1rem}dl div{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;gap:.6rem;padding:.15rem 0}
dd{margin:0;unicode-bidi:plaintext}
dl.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.6rem}
dl.cards div{display:block;border:1px solid var(--line);border-radius:6px;background:var(--soft);padding:.5rem .7rem}
dl.cards dd{font-size:1.15rem;font-variant-numeric:tabular-nums}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(25rem,100%),1fr));gap:1rem 1.4rem}
figure{margin:0;break-inside:avoid}svg{display:block;max-width:100%;height:auto}svg.key{display:inline;vertical-align:middle}
svg.wide{width:100%}svg text{font:10px system-ui,sans-serif;fill:var(--dim)}
.grid{stroke:var(--line)}.s{fill:none;stroke-width:1.6;stroke-linejoin:round}
.s0{stroke:var(--a)}.s1{stroke:var(--b);stroke-dasharray:6 3}.s2{stroke:var(--c);stroke-dasharray:2 2}
.s3{stroke:var(--d);stroke-dasharray:8 2 2 2}.s4{stroke:var(--e);stroke-dasharray:10 4}
.s5{stroke:var(--f);stroke-dasharray:1 3}
.few{fill:var(--paper);stroke-dasharray:none}.dot{stroke:none}.s0.dot{fill:var(--a)}.s1.dot{fill:var(--b)}
.s2.dot{fill:var(--c)}.s3.dot{fill:var(--d)}.s4.dot{fill:var(--e)}.s5.dot{fill:var(--f)}
.plot{min-height:22rem}.bar{fill:var(--a);opacity:.55}.mark{fill:var(--bad);stroke:var(--paper)}
@media(max-width:40rem){dl div{grid-template-columns:1fr;gap:0}table{font-size:11px}th,td{padding-right:.3rem}}
@media print{:root{color-scheme:light;--paper:#fff;--text:#000;--dim:#444;--line:#bbb;--soft:#fff;
--a:#3b6ea8;--b:#b05f14;--c:#2a7770;--d:#7a3f9d;--e:#7a5f10;--f:#a13f6b;--bad:#b3261e;--link:#000}
@page{margin:14mm}body{max-width:none;padding:0;font-size:10pt}table{font-size:8.5pt}
h2,h3,h4,caption{break-after:avoid}tr,dl div{break-inside:avoid}.screen{display:none}
.charts{grid-template-columns:1fr 1fr}}
"""
