#!/usr/bin/env python3
"""Write tests/golden/templates.json: small templates of our own, what Jinja2 makes
of them, and a slice of the random ones. Needs jinja2 (3.1.6 wrote the file).
Usage: python3 tests/tools/golden_template.py > tests/golden/templates.json
"""
import json
import os
import sys
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import jinja_oracle  # noqa: E402
import jinja_random  # noqa: E402

CHAT = {"messages": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Hi <b>"}, {"role": "assistant", "content": None,
        "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1, "y": [True, None, 2.5, "é"]}}}]}, {"role": "tool", "content": "42"}],
        "tools": [{"type": "function", "function": {"name": "f"}}], "add_generation_prompt": True, "bos_token": "<s>"}

OWN = (
    # whitespace control
    "a\n  {% if true %}\n b\n  {%- endif %}\nc", "a  {%- if true -%}  b  {%- endif -%}  c", "  {%+ if true %}x{% endif +%}\ny", "{# c #}\nx{#- d -#}  y", "x\r\ny\rz\n",
    "x\n\n", "  {{ 1 }}\n", "{% raw %}{{ x }}{% endraw %}\n", " {%- raw -%} {{ a }} {% endraw -%} z", "{{ '}}' }}{{ {'a': {}} }}", "{%- set x = 1 -%}\n {{- x }}",
    # scopes
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "{% for i in [1] %}{% if false %}{% set y = 2 %}{% endif %}[{{ y }}]{% endfor %}",
    "{% macro m() %}{{ x }}{% endmacro %}{% set x = 5 %}{{ m() }}", "{% macro m() %}{{ bos_token }}{% endmacro %}{{ m() }}{% set bos_token = 1 %}{{ m() }}",
    "{% if false %}{% set bos_token = 1 %}{% endif %}{{ bos_token }}", "{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    "{% with a = 1, b = a %}{{ a }}[{{ b }}]{% endwith %}{{ a }}", "{% set x %}a{% set y = 3 %}{{ y }}{% endset %}{{ x }}{{ y }}", "{% set a, b = (1, 2) %}{{ b }}{{ a }}",
    # loops
    "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}{{ loop.nextitem.role }},{% endfor %}",
    "{% for m in messages if m.role != 'user' %}{{ loop.index0 }}{{ m.role }}{{ loop.last }}{% else %}none{% endfor %}", "{% for x in [] %}{% else %}empty{% endfor %}",
    "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in [1] %}{% break %}{% else %}else{% endfor %}",
    "{% for i in [[1, [2]], [3]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}@{{ loop.depth }}{% endif %}{% endfor %}", "{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}",
    # macros
    "{% macro f(a, b=2) %}{{ a }},{{ b }},{{ varargs }},{{ kwargs }};{% endmacro %}{{ f(1) }}{{ f(1, 3, 4, z=5) }}{{ f(b=1) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f() %}<{{ caller('x') }}>{% endmacro %}{% call(v) f() %}{{ v }}!{% endcall %}", "{% macro r(n) %}{{ n }}{% if n > 0 %}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(4) }}",
    "{% filter upper %}a{{ bos_token }}{% endfilter %}", "{% generation %}x{{ 1 }}{% endgeneration %}", "{% block b %}{{ bos_token }}{% endblock %}",
    # values
    "{{ none }}{{ true }}{{ 1.0 }}{{ 1e16 }}{{ 1e-5 }}{{ 0.1 + 0.2 }}{{ [1, 'a', none, 2.0, (1,), {'k': \"'\"}] }}", "{{ 7 // 2 }}{{ -7 // 2 }}{{ -7 % 3 }}{{ 7 / 2 }}{{ 2 ** 10 }}{{ 2 ** -1 }}{{ 7.5 // 2 }}",
    "{{ 'ab' * 3 }}{{ [1] + [2] }}{{ 'a' 'b' }}{{ 'a' ~ 1 ~ none }}", "{{ 1 == 1.0 }}{{ true == 1 }}{{ [1] == [1.0] }}{{ {'a': 1} == {'a': 1} }}{{ 'a' < 'b' }}{{ 1 < 2 < 3 }}",
    "{{ 'héllo'[1] }}{{ 'héllo'[-2:] }}{{ 'héllo'[::-1] }}{{ [1, 2, 3][1:] }}{{ messages[-1].content }}{{ messages[9] }}", "{{ 'x' in 'xy' }}{{ 1 in [1] }}{{ 'role' in messages[0] }}{{ 2 not in (1,) }}",
    "{{ undefined_name }}{{ undefined_name is defined }}{{ undefined_name|default('d') }}{{ undefined_name or 'o' }}{{ undefined_name|length }}", "{{ messages[0].nothing.more }}", "{{ 1 + 'a' }}", "{{ undefined_name + 1 }}",
    "{{ messages|tojson }}", "{{ tools|tojson(indent=2) }}", "{{ {'b': 1, 'a': 2}|tojson(sort_keys=true, separators=(',', ':')) }}", "{{ 'é\"\\n'|tojson(ensure_ascii=true) }}",
    "{{ '<a>'|safe + '<b>' }}{{ '<b>' + '<a>'|safe }}{{ '<'|e }}", "{{ '%s is %d and %.2f'|format('a', 3, 2.5) }}{{ '{} {b!r} {:>5}'.format(1, 2, b='x') }}", "{{ ' a b '.strip().split(' ') }}{{ 'a,b'.split(',')[1] }}",
    "{{ messages|map(attribute='role')|join(', ') }}{{ messages|selectattr('role', 'equalto', 'user')|list|length }}", "{{ [3, 1, 2]|sort|reverse|list }}{{ {'b': 1, 'a': 2}|dictsort }}{{ ['b', 'A']|sort }}",
    "{{ 'straße'|upper }}{{ 'ΑΣ'|lower }}{{ 'İ'|lower|length }}{{ 'x y-z'|title }}", "{{ strftime_now('%d %b %Y %H:%M %A %j') }}", "{{ raise_exception('no') }}", "{{ 'a'.missing() }}", "{{ messages.append(1) }}", "{{ ''.__class__ }}{{ ''.__class__.__mro__ }}",
    "{{ 12345678901234567890 }}{{ [12345678901234567890]|tojson }}", "{{ range(3)|list }}{{ range(100001) }}", "{{ 5|round }}{{ 2.5|round }}{{ 2.675|round(2) }}{{ '12'|int + 1 }}{{ '1.9'|int }}{{ 'x'|int(7) }}",
    # what Jinja2's Undefined has of its own is hidden, the rest raises
    "{{ u.__class__ }}|{{ u._undefined_name }}|{{ u.__add__ }}|{{ u.__class__ is defined }}", "{{ u.__nothing__ }}", "{{ u._x }}", "{{ u['__class__'] }}", "{{ u|attr('__class__') }}",
    # texts that join, lists that are constants, fields that dicts have anyway
    "{{ 'a' }}b{{ 'c' 'd' }}{% if true %}{{ 'e' }}\n{{ 'f' }}{% endif %}", "{% for m in messages %}{% set l = ['user', 'tool'] %}{{ m.role in l }}{{ l + [m.role] }}{% endfor %}",
    "{{ tools[0].items is callable }}{{ tools[0]['items'] is callable }}{{ tools[0].get('type') }}{{ tools[0].get('none', 7) }}{{ tools[0].get('none') }}", "{{ tools[0].get('type', u.x) }}", "{{ 'nan'|filesizeformat(true) }}{{ 'inf'|filesizeformat }}", "{{ 'type' in tools[0] }}{{ 'x' not in tools[0] }}{{ 'role' in 'the role' }}",
    "{% for k in tools[0] %}{{ k[1:] }}{{ tools[0][k] is string }}{{ k == 'type' }}{% endfor %}", "{{ messages[0].role == none }}{{ messages[0].role != 'system' }}{{ u == 'x' }}{{ ('user'|safe) == 'user' }}",
    # what must not be made
    "{% if %}", "{{ 1 +", "{% for x in %}{% endfor %}", "{% endif %}", "{% if true %}", "{{ x|nofilter }}", "{% if false %}{{ x|nofilter }}{% endif %}ok", "{{ (1 }}", "{% set 1 = 2 %}", "{% break %}", "{% unknown %}", "{{ 'a }}",
    "{% include 'x' %}", "{% for loop in [1] %}{% endfor %}", "{# open", "{% raw %} open",
    # a chat template like the real ones
    "{{- bos_token }}{%- for m in messages %}{{- '<|' + m.role + '|>\\n' }}{%- if m.content is string %}{{- m.content | trim }}{%- elif m.tool_calls is defined %}{%- for c in m.tool_calls %}{{- '<call>' + (c.function | tojson) + '</call>' }}"
    "{%- endfor %}{%- endif %}{{- '<|end|>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}",
)


def main():
    env, rows = jinja_oracle.environment(), []
    cases = [(t, "chat") for t in OWN] + [(jinja_random.template(s), "random") for s in range(400)]
    data = {"chat": CHAT, "random": jinja_random.VARIABLES}
    for text, which in cases:
        try:
            out = env.from_string(text).render(**json.loads(json.dumps(data[which])))
        except Exception:
            out = None
        if out is None or " at 0x" not in out:
            rows.append([text, which, out])
    sys.stdout.write(json.dumps({"now": jinja_oracle.NOW, "variables": data}, ensure_ascii=True)[:-1] + ', "cases": [\n')
    sys.stdout.write(",\n".join(json.dumps(r) for r in rows) + "\n]}\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
