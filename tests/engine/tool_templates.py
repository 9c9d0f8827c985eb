"""Chat templates of the two families that word calls of tools, written for tests."""

from __future__ import annotations

TAGGED = (
    "{%- if tools %}[tools]\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    "Answer with <tool_call>JSON</tool_call> to call one.\n{% endif %}"
    "{%- for m in messages %}[{{ m.role }}]\n{{ m.content }}"
    "{%- if m.tool_calls %}{% for call in m.tool_calls %}"
    '<tool_call>\n{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "\n</tool_call>"
    "{% endfor %}{% endif %}\n{% endfor %}[assistant]\n"
)
BARE = (
    "{%- if tools %}[tools]\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    'Answer {"name": …, "parameters": …} to call one; <|python_tag|> is for code.\n{% endif %}'
    "{%- for m in messages %}[{{ m.role }}]\n"
    "{%- if m.tool_calls %}{% for call in m.tool_calls %}"
    '{"name": "{{ call.function.name }}", "parameters": {{ call.function.arguments | tojson }}}'
    "{% endfor %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}[assistant]\n"
)
