"""How a page looks and the one script it carries: a cursor that reads values off the charts."""

from __future__ import annotations

CSS = """
:root{--ink:#1b2430;--soft:#5b6672;--line:#e1e5ea;--paper:#fff;--tint:#f6f7f9;
--blue:#0b5fa5;--good:#0f6b5c;--bad:#b0301c}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1060px;margin:0 auto;padding:40px 28px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:20px;margin:52px 0 4px;letter-spacing:-.005em}
h3{font-size:15px;margin:22px 0 6px}
p{margin:6px 0 12px;max-width:72ch}
.lead{color:var(--soft);margin-bottom:18px}
.source{color:var(--soft);font-size:12.5px;line-height:1.45;max-width:none;margin:6px 0 14px}
.source b{font-weight:600;color:var(--ink)}
.claim{border-left:5px solid var(--bad);background:var(--tint);padding:12px 18px;margin:18px 0 24px}
.claim.yes{border-color:var(--good)}
.claim b{display:block;font-size:17px}
.cards{display:flex;flex-wrap:wrap;margin:22px 0;border:1px solid var(--line);
border-width:1px 0 0 1px}
.cards div{flex:1 0 126px;padding:13px 16px;border:1px solid var(--line);border-width:0 1px 1px 0}
.cards dt{color:var(--soft);font-size:12.5px}
.cards dd{margin:2px 0 0;font-size:21px;font-weight:600;letter-spacing:-.01em}
.cards dd small{font-size:12.5px;font-weight:400;color:var(--soft);margin-left:4px}
.chart{margin:4px 0 2px;position:relative}
.chart svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-family:inherit}svg text:not([fill]){fill:var(--ink)}
svg text.tick{fill:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:13px;color:var(--soft);margin:8px 0 4px}
.legend i{display:inline-block;width:22px;height:0;margin-right:7px;vertical-align:middle}
.legend i.box{height:12px;background:#0b5fa51f;border:1px solid #0b5fa53d}
.legend svg.key{display:inline-block;width:13px;height:13px;vertical-align:-2px;margin-right:6px}
.scroll{overflow-x:auto;margin:8px 0 14px}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th,td{padding:5px 12px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);
white-space:nowrap}
td.wrap{white-space:normal;min-width:16em}
th{font-weight:600;color:var(--soft);border-bottom:1px solid var(--soft)}
td.n,th.n{text-align:right}
tr.sum td{font-weight:600;border-top:1px solid var(--ink);border-bottom:none}
.ok{color:var(--good);font-weight:600}.not{color:var(--bad);font-weight:600}
.none{color:var(--soft);font-style:italic}
details{margin:10px 0}summary{cursor:pointer;color:var(--blue)}
pre{background:var(--tint);padding:14px 16px;overflow-x:auto;
font:12.5px/1.5 ui-monospace,Menlo,Consolas,monospace}
.tip{position:absolute;pointer-events:none;background:var(--ink);color:#fff;font-size:12.5px;
line-height:1.4;
padding:6px 10px;border-radius:4px;white-space:pre;display:none;z-index:2}
footer{margin-top:60px;color:var(--soft);font-size:13px;border-top:1px solid var(--line);padding-top:12px}
@media(max-width:640px){main{padding:24px 16px 48px}h1{font-size:24px}
.chart{overflow-x:auto}.chart svg{min-width:600px}}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}.chart,tr,.cards{break-inside:avoid}
details:not([open])>*:not(summary){display:none}.tip{display:none!important}@page{margin:16mm}}
"""

SCRIPT = """
for (const svg of document.querySelectorAll('svg.time')) {
  const d = JSON.parse(svg.dataset.series), box = svg.parentElement, tip = document.createElement('div');
  const rule = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  for (const [k, v] of Object.entries({y1: d.top, y2: d.bottom, stroke: '#1b2430', 'stroke-opacity': 0}))
    rule.setAttribute(k, v);
  tip.className = 'tip'; box.append(tip); svg.append(rule);
  const show = e => {
    const r = svg.getBoundingClientRect(), w = svg.viewBox.baseVal.width;
    const x = (e.clientX - r.left) / r.width * w;
    if (x < d.x0 || x > d.x1) return hide();
    const i = Math.round((x - d.x0) / (d.x1 - d.x0) * (d.times.length - 1));
    const rows = d.series.map(s => s.name + '  ' + (s.y[i] === null ? '–' : s.y[i]));
    tip.textContent = [d.times[i] + ' UTC', ...rows].join('\\n');
    tip.style.display = 'block';
    const left = e.clientX - r.left;
    tip.style.left = (left > r.width * 0.6 ? left - tip.offsetWidth - 14 : left + 14) + 'px';
    tip.style.top = (svg.offsetTop + 14) + 'px';
    for (const k of ['x1', 'x2']) rule.setAttribute(k, x);
    rule.setAttribute('stroke-opacity', 0.45);
  };
  const hide = () => { tip.style.display = 'none'; rule.setAttribute('stroke-opacity', 0); };
  svg.addEventListener('pointermove', show); svg.addEventListener('pointerleave', hide);
}
"""
