"""How a page looks: the one style sheet of all reports."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fdfcf9; --card: #ffffff; --ink: #1d2126; --soft: #5b636d; --line: #dcd8cf;
  --accent: #1f6f8b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --card: #1b1f25; --ink: #e6e3dc; --soft: #a0a7b0; --line: #343a43;
    --accent: #7cc4dd;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
header, section, footer { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 3rem; }
footer { padding-top: 1rem; padding-bottom: 3rem; color: var(--soft); font-size: .85rem; }
h1 { font-size: 2.1rem; line-height: 1.15; letter-spacing: -.02em; margin: 0 0 .6rem; }
h2 {
  font-size: 1.3rem; line-height: 1.3; letter-spacing: -.01em; margin: 3rem 0 .8rem;
  padding-top: 1.1rem; border-top: 1px solid var(--line);
}
p { max-width: 44rem; margin: .7rem 0; }
header > p { font-size: 1.1rem; color: var(--soft); }
header > p.lead {
  margin: 1.4rem 0; padding: .2rem 0 .2rem 1.1rem; border-left: 3px solid var(--accent);
  color: var(--ink); font-size: 1.3rem; line-height: 1.45; letter-spacing: -.005em;
}
.notices {
  max-width: 44rem; margin: 1rem 0; padding: .8rem 1.1rem .8rem 2.2rem; font-size: .94rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 4px;
  overflow-wrap: anywhere;
}
.notices li + li { margin-top: .4rem; }
.aside { color: var(--soft); font-size: .92rem; }
.formula {
  margin: 1.2rem 0; padding: .9rem 1.1rem; background: var(--card); border: 1px solid var(--line);
  border-left: 3px solid var(--accent); border-radius: 4px;
  font: 1.06rem/1.7 "STIX Two Text", "Cambria Math", Cambria, Georgia, "DejaVu Serif", serif;
}
.formula span { display: block; white-space: pre-wrap; }
code, pre {
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
code { font-size: .9em; overflow-wrap: anywhere; }
pre {
  margin: .8rem 0; padding: .9rem 1.1rem; overflow-x: auto; font-size: .82rem; line-height: 1.6;
  background: var(--card); border: 1px solid var(--line); border-radius: 4px;
}
pre code { font-size: inherit; overflow-wrap: normal; }
td code { white-space: nowrap; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .94rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .9rem .4rem 0; text-align: right; vertical-align: baseline; }
th:last-child, td:last-child { padding-right: 0; }
th { color: var(--soft); font-weight: 500; font-size: .85rem; line-height: 1.3; }
thead th { vertical-align: bottom; border-bottom: 1px solid var(--line); }
tbody th { color: var(--ink); font-weight: 600; font-size: inherit; white-space: nowrap; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody + tbody tr:first-child > * { border-top: 2px solid var(--soft); }
.left { text-align: left; }
figure { margin: 1.2rem 0 2rem; }
figcaption { max-width: 44rem; margin-top: .7rem; color: var(--soft); font-size: .94rem; }
.columns { display: grid; gap: 0 2.5rem; align-items: start; }
.columns { grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
figcaption b { color: var(--ink); font-weight: 600; }
.panels { display: grid; gap: 1.2rem 1.6rem; align-items: start; }
.panels { grid-template-columns: repeat(auto-fit, minmax(min(100%, var(--least)), 1fr)); }
.panels svg { display: block; width: 100%; height: auto; max-width: var(--most); }
svg { color: var(--ink); fill: var(--ink); overflow: visible; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg.ink { mix-blend-mode: multiply; }
@media (prefers-color-scheme: dark) {
  /* dark ink on light paper becomes light ink on dark paper, words and pixels together */
  svg.ink { filter: invert(1); mix-blend-mode: screen; --ink: #1d2126; --paper: #ffffff; }
}
@media (max-width: 42rem) {
  body { font-size: 16px; }
  header { padding-top: 1.8rem; }
  h1 { font-size: 1.7rem; overflow-wrap: anywhere; }
  header > p.lead { font-size: 1.15rem; }
  h2 { margin-top: 2.2rem; }
  .wide table, .wide tbody, .wide tr, .wide td, .wide tbody th { display: block; width: 100%; }
  .wide thead { display: none; }
  .wide tr { padding: .7rem 0; }
  .wide tbody tr + tr { border-top: 1px solid var(--line); }
  .wide tbody + tbody { border-top: 2px solid var(--soft); }
  .wide tbody tr > *, .wide tbody tr:first-child > * { border: 0; padding: .1rem 0; }
  .wide tbody th { text-align: left; font-size: 1.05rem; }
  .wide td { display: flex; justify-content: space-between; gap: 1rem; text-align: right; }
  .wide td::before { content: attr(data-name); color: var(--soft); text-align: left; }
  .wide td code { white-space: normal; }
  .wide td:empty { display: none; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --card: #ffffff; --ink: #000000; --soft: #444444; --line: #bbbbbb;
  }
  body { font-size: 10.5pt; }
  header, section, footer { padding: 0; }
  svg.ink { filter: none; mix-blend-mode: normal; }
  figure, pre, table, .formula { break-inside: avoid; }
  .columns { grid-template-columns: 1fr 1fr; }
  .panels { grid-template-columns: repeat(auto-fit, minmax(calc(.8 * var(--least)), 1fr)); }
  h2 { break-after: avoid; }
  pre { white-space: pre-wrap; }
}
"""
