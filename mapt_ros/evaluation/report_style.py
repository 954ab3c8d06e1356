"""The look of a report, light and dark, wide and narrow, and the little script that sorts tables and follows an id."""

CSS = """
:root{color-scheme:light dark;--paper:#f7f6f3;--card:#fff;--ink:#1d1b19;--soft:#68625b;--line:#dedad4;--link:#1d4ed8;
--bar:#dbe6fb;--good:37,99,235;--bad:220,38,38;--miss:#b9b3ab;--warn:#fdf1d3;--mark:#c1121f}
@media(prefers-color-scheme:dark){:root{--paper:#131417;--card:#1c1e22;--ink:#e9e7e3;--soft:#a29d95;--line:#34373d;
--link:#8ab4ff;--bar:#26344f;--good:96,150,255;--bad:240,90,90;--miss:#5d6068;--warn:#3a3017;--mark:#ff7a7a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:76rem;margin:0 auto;padding:1.25rem clamp(.75rem,2.5vw,2rem) 4rem}
h1{font-size:1.6rem;line-height:1.2;margin:.2rem 0 .3rem}
h2{font-size:1.2rem;margin:2.6rem 0 .4rem}
h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
p{margin:.35rem 0;max-width:72ch}
a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:2px}
.soft,figcaption,small{color:var(--soft)}
.path{overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:.7rem 0 1.1rem}
.scores{display:grid;grid-template-columns:repeat(auto-fill,minmax(7.3rem,1fr));gap:.5rem;margin:0;padding:0}
.scores div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.45rem .65rem}
.scores dt{font-size:.8rem}
.scores dd{margin:0;font-size:1.35rem;font-weight:600;font-variant-numeric:tabular-nums}
.scores .main{border-color:var(--link);box-shadow:inset 0 0 0 1px var(--link)}
.note{background:var(--warn);border-radius:.5rem;padding:.5rem .8rem;margin:.7rem 0;max-width:none;overflow-wrap:anywhere}
.scroll{overflow:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;
max-height:85vh}
table{border-collapse:separate;border-spacing:0;width:100%;font-variant-numeric:tabular-nums;font-size:.88rem}
th,td{padding:.28rem .45rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
tbody tr:last-child>*{border-bottom:0}
th{font-weight:600}
thead th{position:sticky;top:0;background:var(--card);z-index:2}
th:first-child{text-align:left;position:sticky;left:0;background:var(--card);z-index:1;max-width:11rem;overflow:hidden;
text-overflow:ellipsis}
thead th:first-child{z-index:3}
td.s{background:linear-gradient(90deg,var(--bar) calc(var(--v)*1%),transparent 0)}
tr.all>*{font-weight:700}
th button{all:unset;cursor:pointer;color:var(--soft);padding:0 0 0 .15rem;font-weight:400}
th button:focus-visible{outline:2px solid var(--link)}
.chip{display:inline-block;width:.75em;height:.75em;border-radius:.15em;margin-right:.4em;border:1px solid rgba(128,128,128,.5)}
.confusion table{width:auto;min-width:100%}
.confusion th,.confusion td{padding:.2rem .3rem;text-align:center}
.confusion th:first-child{text-align:left;padding-right:.6rem}
.confusion thead th{vertical-align:bottom}
.confusion thead th span{writing-mode:vertical-rl;transform:rotate(180deg);text-align:left;max-height:8.5rem;overflow:hidden}
.frame{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem;margin:.9rem 0}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:.7rem;margin-top:.6rem}
figure{margin:0}
figure img{display:block;width:100%;height:auto;border-radius:.3rem;background:#000}
figcaption{font-size:.85rem;margin-bottom:.2rem}
.facts{margin:0 0 .4rem;overflow-wrap:anywhere}
.facts b{font-weight:600}
details{margin:.9rem 0}
summary{cursor:pointer;padding:.2rem 0}
summary h3{display:inline}
.timeline{max-height:36rem}
.timeline th,.timeline td{padding:0 .5rem;border-bottom:0;line-height:1.35rem}
.timeline thead th{border-bottom:1px solid var(--line)}
.timeline tr.kind th{padding-top:.5rem;color:var(--soft);font-weight:400;z-index:1}
.timeline .bar{width:100%;padding:.1rem .3rem}
.bar div{position:relative;z-index:0;height:1.15rem;min-width:var(--w,16rem)}
.bar i,.bar b{position:absolute;top:0;bottom:0;font:600 .68rem/1.15rem system-ui,sans-serif}
.bar i{min-width:2px;overflow:hidden;text-align:left;white-space:normal;overflow-wrap:normal;border-radius:2px;box-shadow:inset -1px 0 0 var(--card)}
/* An id that does not fit breaks to a line of its own, which is hidden. */
.bar i::before{content:'';display:inline-block;width:.2rem;height:1px}
.bar i.m{border-radius:0;box-shadow:none;top:38%;bottom:38%;
background:repeating-linear-gradient(90deg,var(--miss) 0 3px,transparent 3px 5px)}
.bar b{width:0;border:.27rem solid transparent;border-top:.42rem solid var(--mark);margin-left:-.27rem;top:-.18rem;bottom:auto;
z-index:1;filter:drop-shadow(0 0 1px var(--card))}
.bar i.l{color:#000}.bar i.d{color:#fff}
.bar span{position:absolute;font-size:.75rem;color:var(--soft);transform:translateX(-50%)}
.bar span:last-child{transform:translateX(-100%)}.bar span:first-child{transform:none}
.bar svg{display:block;width:100%;height:2.2rem;min-width:var(--w,16rem)}
.timeline .course>*{vertical-align:middle}
.bar svg path{fill:rgba(var(--good),.28);stroke:rgb(var(--good));stroke-width:1.2;vector-effect:non-scaling-stroke}
.dim i{opacity:.18}.dim i.on{opacity:1}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;margin:.5rem 0;align-items:center}
.legend .bar{display:inline-block;width:3.6rem;vertical-align:middle;margin-right:.4rem}
.legend .bar div{min-width:0}
.legend .bar{flex:none}
.legend>span{display:inline-flex;align-items:center;max-width:100%}
dl.terms{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1rem;margin:.6rem 0}
dl.terms dt{font-weight:600}
dl.terms dd{margin:0;max-width:72ch}
dt:target{color:var(--link);scroll-margin-top:1rem}
@media(max-width:40rem){dl.terms{grid-template-columns:1fr;gap:0}dl.terms dd{margin-bottom:.6rem}
th:first-child{max-width:7.5rem}.scores{grid-template-columns:repeat(auto-fill,minmax(5.3rem,1fr))}
.scores dt{overflow:hidden;text-overflow:ellipsis}.scores div{padding:.35rem .5rem}.scores dd{font-size:1.2rem}.frame{padding:.6rem}.bar div,.bar svg{min-width:var(--w,11rem)}}
@media print{.scroll{max-height:none;overflow:visible}body{background:#fff}}
"""

SCRIPT = """
for(const table of document.querySelectorAll('table.sortable'))table.querySelectorAll('thead th').forEach((head,column)=>{
const button=document.createElement('button');button.textContent='\\u2195';button.setAttribute('aria-label','sort');
head.append(button);let down=column>0;
button.onclick=()=>{const value=row=>row.cells[column].dataset.v??row.cells[column].textContent,body=table.tBodies[0];
const number=row=>{const v=value(row);return v===''||isNaN(v)?-Infinity:+v};
const rows=[...body.rows].filter(row=>!row.classList.contains('all'));
rows.sort((a,b)=>column?number(a)-number(b):value(a).localeCompare(value(b)));if(down)rows.reverse();down=!down;
body.append(...rows)}});
for(const table of document.querySelectorAll('.timeline table')){const mark=id=>{table.classList.toggle('dim',id!==null);
for(const run of table.querySelectorAll('i'))run.classList.toggle('on',run.dataset.i===id)};
table.onpointerover=event=>mark(event.target.dataset?.i??null);table.onpointerleave=()=>mark(null)}
"""
