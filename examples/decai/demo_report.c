/* demo_report.c - report.html: the job's life on one self-contained page.
 *
 * The page holds the market's own JSON reports, as the database gives them, and
 * a short script that draws them. Nothing is fetched from anywhere. */
#include "demo.h"

#include <stdlib.h>

static const char head[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>decai demo: one job's life</title>"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>"
    ":root{--ink:#1c2530;--dim:#66727f;--line:#dde3e8;--paper:#fbfcfd;--card:#fff;--good:#17795e;--bad:#b3261e;--mark:#e8f3ef;--bar:#8fb8c9}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--dim:#93a1ae;--line:#2c3742;--paper:#11171d;--card:#182028;--good:#5cc7a4;--bad:#ff8a80;--mark:#17302a;--bar:#3f7288}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
    "main{max-width:1060px;margin:0 auto;padding:32px 20px 60px}h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:0 0 12px}"
    ".dim{color:var(--dim)}.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:18px 0}"
    ".grid{display:grid;grid-template-columns:1fr 1fr;gap:18px}.grid .card{margin:0}@media(max-width:760px){.grid{grid-template-columns:1fr}}"
    "code,.mono{font:13px/1.5 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}td,th{padding:5px 8px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}th{color:var(--dim);font-weight:500}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:var(--good)}.bad{color:var(--bad)}.win{background:var(--mark)}"
    ".facts{display:flex;flex-wrap:wrap;gap:10px 28px;margin-top:14px}.facts div{min-width:120px}.facts b{display:block;font-size:20px}"
    "ol{margin:0;padding:0;list-style:none}ol li{display:grid;grid-template-columns:86px 150px 1fr;gap:10px;padding:4px 0;border-bottom:1px solid var(--line)}"
    ".path{display:flex;flex-wrap:wrap;gap:8px;align-items:center}.path span{border:1px solid var(--line);border-radius:8px;padding:6px 12px}.path span.last{border-color:var(--bad);color:var(--bad);font-weight:600}"
    "svg text{fill:var(--ink);font:13px system-ui,sans-serif}svg .dim{fill:var(--dim)}"
    "</style></head><body><main>\n";

static const char script[] =
    "<script>\n"
    "const D=JSON.parse(document.getElementById('data').textContent);\n"
    "const $=id=>document.getElementById(id);\n"
    "const el=(t,c,s)=>{const e=document.createElement(t);if(c)e.className=c;if(s!==undefined)e.textContent=s;return e};\n"
    "const usd=v=>{const n=BigInt(v),a=n<0n?-n:n;return(n<0n?'-':'')+(a/1000000n)+'.'+String(a%1000000n).padStart(6,'0').replace(/0{1,4}$/,'')};\n"
    "const row=(t,cells,c)=>{const r=el('tr',c);cells.forEach(x=>{const[d,k]=Array.isArray(x)?x:[x,''];r.append(el('td',k,d))});t.append(r)};\n"
    /* bids: bars, winners marked */
    "{const W=460,H=34,max=1000000,b=D.bids,ns='http://www.w3.org/2000/svg',s=document.createElementNS(ns,'svg');\n"
    "s.setAttribute('viewBox','0 0 '+W+' '+(b.length*H+26));s.setAttribute('width','100%');s.setAttribute('role','img');\n"
    "const add=(n,a,t)=>{const e=document.createElementNS(ns,n);for(const k in a)e.setAttribute(k,a[k]);if(t)e.textContent=t;s.append(e)};\n"
    "b.forEach((x,i)=>{const w=(W-190)*Number(x.price)/max,won=D.winners.includes(x.provider),y=i*H+6;\n"
    "add('text',{x:0,y:y+16},x.provider);add('rect',{x:70,y:y,width:w,height:22,rx:4,fill:won?'var(--good)':'var(--bar)'});\n"
    "add('text',{x:76+w,y:y+16},usd(x.price)+(won?'  wins':''))});\n"
    "const mx=70+(W-190);add('line',{x1:mx,x2:mx,y1:0,y2:b.length*H+4,stroke:'var(--dim)','stroke-dasharray':'4 4'});\n"
    "add('text',{x:mx-66,y:b.length*H+20,class:'dim'},'maximum 1.00');$('bids').append(s)}\n"
    /* timeline */
    "{const o=$('timeline'),t0=D.timeline.length?D.timeline[0].time_ms:0;\n"
    "D.timeline.forEach(x=>{const li=el('li');li.append(el('span','dim mono','+'+((x.time_ms-t0)/1000).toFixed(3)+' s'));\n"
    "const rest=Object.entries(x).filter(([k,v])=>!['sequence','time_ms','event','order','seq'].includes(k)&&v!==null&&v!=='')"
    ".map(([k,v])=>{v=typeof v==='object'?JSON.stringify(v):String(v);return k+' '+(v.length>46?v.slice(0,46)+'\\u2026':v)}).join(', ');\n"
    "li.append(el('b','',x.event||x.kind||''),el('span','mono',rest));o.append(li)})}\n"
    /* money */
    "{const t=$('money');D.money.forEach(x=>{const per={};(x.postings||[]).forEach(p=>{(per[p.asset]=per[p.asset]||[]).push(p)});\n"
    "for(const a in per){const f=p=>p.account.replace(/^(escrow:).*/,'escrow')+' '+(a==='USDC'?usd(p.amount):p.amount);\n"
    "row(t,[x.kind||x.event||'',per[a].filter(p=>p.side==='debit').map(f).join(', '),per[a].filter(p=>p.side==='credit').map(f).join(', '),a])}})}\n"
    /* balances */
    "{const t=$('balances');D.balances.forEach(x=>row(t,[x.account.replace(/^(escrow:.{10}).*/,'$1\\u2026'),[x.asset==='USDC'?usd(x.balance??x.amount):(x.balance??x.amount),'n'],x.asset]))}\n"
    "</script>\n";

static void
html(text *t, const char *s)
{
    for (; *s; s++) {
        if (*s == '<') text_printf(t, "&lt;");
        else if (*s == '>') text_printf(t, "&gt;");
        else if (*s == '&') text_printf(t, "&amp;");
        else text_add(t, s, 1);
    }
}

static void
html_hex(text *t, const uint8_t *data, size_t len)
{
    text_printf(t, "<code>");
    text_hex(t, data, len);
    text_printf(t, "</code>");
}

static void
section_head(demo *d, text *t)
{
    text_printf(t, "<h1>One job&rsquo;s life</h1><div class=\"dim\">asked for &rarr; matched &rarr; run &rarr; proven &rarr; signed &rarr; settled &rarr; rewarded</div>"
        "<div class=\"card\"><b>&ldquo;");
    html(t, d->prompt);
    text_printf(t, "&rdquo;</b><div class=\"facts\"><div><b class=\"%s\">%s</b>every asset sums to zero</div><div><b>%d</b>receipts checked</div>"
        "<div><b class=\"bad\">%.2f %s</b>slashed</div><div><b>%.1f s</b>from start to end</div></div></div>\n",
        d->conserved ? "good" : "bad", d->conserved ? "conserved" : "NOT conserved", d->receipts_verified,
        (double)atoll(d->slashed) / 1e6, ASSET, d->seconds);
}

static void
section_runs(demo *d, text *t)
{
    text_printf(t, "<div class=\"card\"><h2>What the two providers delivered</h2><table><tr><th>provider</th><th>answer</th><th>verdict</th></tr>");
    for (int i = 0; i < LEASES; i++) {
        run *r = &d->run[i];
        bool good = r->verdict == DECAI_VERDICT_ACCEPTED;
        text_printf(t, "<tr><td>%s</td><td class=\"mono\">", r->provider->name);
        html(t, r->answer.data ? r->answer.data : "");
        text_printf(t, "</td><td class=\"%s\">%s", good ? "good" : "bad", good ? "replayed bit for bit" : "rejected: ");
        html(t, r->finding);
        text_printf(t, "</td></tr>");
    }
    text_printf(t, "</table></div>\n");
}

static void
section_cheat(demo *d, text *t)
{
    run *r = &d->run[1];
    text_printf(t, "<div class=\"card\"><h2>Where the cheat was found</h2><div class=\"path\"><span>token %lld</span>&rarr;<span>layer %lld</span>&rarr;"
        "<span>op %lld</span>&rarr;<span>row %lld</span>&rarr;<span class=\"last\">leaf %lld</span></div>"
        "<p>%s ran a model in which 32 of its weights have the wrong sign, and signed a receipt that names the right model. "
        "The dispute narrowed the difference to one sum of 256 products; the referee recomputed that sum alone, from weights proven against the model root.</p><pre class=\"mono\">",
        (long long)d->at_token, (long long)d->at_layer, (long long)d->at_op, (long long)d->at_row, (long long)d->at_leaf, r->provider->name);
    html(t, d->dispute.data ? d->dispute.data : "");
    text_printf(t, "</pre></div>\n");
}

static void
section_identity(demo *d, text *t)
{
    text_printf(t, "<div class=\"card\"><h2>Names of things</h2><table><tr><td>model root</td><td>");
    html_hex(t, d->model_root, 32);
    text_printf(t, "</td></tr><tr><td>order</td><td>");
    html_hex(t, d->order, 32);
    text_printf(t, "</td></tr><tr><td>logits hash</td><td>");
    html_hex(t, d->logits_hash, 32);
    text_printf(t, "</td></tr><tr><td>payout root</td><td>");
    html_hex(t, d->payout_root, 32);
    text_printf(t, "</td></tr></table></div>\n");
}

/* JSON inside a script element: "</" must not end it. */
static void
embed(text *t, const char *json, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (json[i] == '<') text_printf(t, "\\u003c");
        else text_add(t, json + i, 1);
    }
}

static void
embed_query(demo *d, text *t, const char *query)
{
    text json = {0};
    FETCH(&json, query, decai_market_format(d->market, out, cap, &len, query, NULL, 0));
    text_printf(t, ",\"%s\":", query);
    embed(t, json.data, json.len);
    text_free(&json);
}

void
demo_report(demo *d)
{
    text t = {0};
    text_add(&t, head, sizeof head - 1);
    section_head(d, &t);
    text_printf(&t, "<div class=\"grid\"><div class=\"card\"><h2>Four bids, two winners</h2><div id=\"bids\"></div></div>");
    text_printf(&t, "<div class=\"card\"><h2>Balances at the end</h2><table id=\"balances\"><tr><th>account</th><th class=\"n\">amount</th><th>asset</th></tr></table></div></div>\n");
    section_runs(d, &t);
    section_cheat(d, &t);
    text_printf(&t, "<div class=\"card\"><h2>The money, posting by posting</h2><table id=\"money\"><tr><th>what</th><th>from</th><th>to</th><th>asset</th></tr></table></div>\n");
    text_printf(&t, "<div class=\"card\"><h2>Timeline</h2><ol id=\"timeline\"></ol></div>\n");
    section_identity(d, &t);
    text_printf(&t, "<script type=\"application/json\" id=\"data\">{\"winners\":[\"%s\",\"%s\"]", d->run[0].provider->name, d->run[1].provider->name);
    static const char *const queries[] = {"timeline", "bids", "money", "balances"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) embed_query(d, &t, queries[i]);
    text_printf(&t, "}</script>\n");
    text_add(&t, script, sizeof script - 1);
    text_printf(&t, "</main></body></html>\n");
    demo_save(d, "report.html", t.data, t.len);
    text_free(&t);
}
