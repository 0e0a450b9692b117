"""The interface as one HTML page, made of its OpenAPI and AsyncAPI documents: no script, no other file."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d8d4ca, #3d3a34); --dim: light-dark(#605b51, #b0a99c); }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
  background: light-dark(#fbfaf7, #1b1a17); color: light-dark(#23211d, #eeeae1); }
a { color: light-dark(#0b6a72, #6fc7ce); }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary span, p.dim { color: var(--dim); }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .2rem .9rem .2rem 0; }
th { font-weight: 600; color: var(--dim); }
"""


def page_of(openapi: dict[str, Any], asyncapi: dict[str, Any]) -> str:
    """Return the page. Its links to the documents are relative to `/docs/api`."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>API of {escape(openapi['info']['title'])}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>API of {escape(openapi['info']['title'])} {escape(openapi['info']['version'])}</h1>"
        "<p>For programs: <a href='api/openapi.json'>OpenAPI 3.1</a> of the HTTP routes,"
        " <a href='api/asyncapi.json'>AsyncAPI 3.0</a> of the WebSockets. Errors are JSON with a stable word"
        " in <code>error</code> and a sentence in <code>message</code>.</p>"
        f"<p>{_login(openapi)}</p>"
        "<nav><a href='#sockets'>WebSockets</a> · <a href='#routes'>HTTP routes</a></nav>"
        "<h2 id='sockets'>WebSockets</h2>",
        f"<p>{escape(asyncapi['info']['description'])}</p>",
        *(_channel(name, channel, asyncapi) for name, channel in asyncapi["channels"].items()),
        "<h2 id='routes'>HTTP routes</h2>",
        *(
            _operation(method, path, told)
            for path, methods in openapi["paths"].items()
            for method, told in methods.items()
        ),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _login(openapi: dict[str, Any]) -> str:
    if openapi["security"] == [{}]:
        return "This app asks for no login."
    return (
        "This app asks for a login: the key as <code>X-API-Key</code> or as a bearer token, or user and"
        " password as HTTP basic."
    )


def _channel(name: str, channel: dict[str, Any], asyncapi: dict[str, Any]) -> str:
    query = channel.get("bindings", {}).get("ws", {}).get("query", {}).get("properties", {})
    messages = asyncapi["components"]["messages"]
    parts = [
        f"<h3><code>{escape(channel['address'])}</code></h3><p>{escape(channel['description'])}</p>",
        _details("Query", "what the address may say after its ?", _table(query, ())) if query else "",
    ]
    for action, title in (("receive", "From the client"), ("send", "From the server")):
        parts.append(f"<h4>{title}</h4>")
        for reference in asyncapi["operations"][f"{action}{name.title()}"]["messages"]:
            message = messages[f"{name}_{reference['$ref'].rsplit('/', 1)[1]}"]
            kind = f"kind {message['x-kind']}, " if "x-kind" in message else ""
            payload = message["payload"]
            told = f"<p>{escape(message.get('description') or message.get('summary', ''))}</p>"
            table = _table(payload.get("properties", {}), payload.get("required", ()))
            parts.append(
                _details(
                    f"<code>{escape(message['name'])}</code>", kind + message.get("summary", ""), told + table
                )
            )
    return "".join(parts)


def _operation(method: str, path: str, told: dict[str, Any]) -> str:
    parts = []
    if parameters := told["parameters"]:
        properties = {
            each["name"]: {"description": each.get("description", each["in"]), **each["schema"]}
            for each in parameters
        }
        needed = [each["name"] for each in parameters if each.get("required")]
        parts.append(_table(properties, needed))
    for kind, content in told.get("requestBody", {}).get("content", {}).items():
        parts.append(_content(f"Body: {kind}", content["schema"]))
    for status, answer in told["responses"].items():
        if status != "default":
            contents = answer.get("content", {})
            parts.append(f"<p>Answers {escape(status)}{':' if contents else '.'}</p>")
            parts += [_content(kind, content["schema"]) for kind, content in contents.items()]
    title = f"<code>{method.upper()} {escape(path)}</code>"
    return _details(title, told["summary"], "".join(parts))


def _content(title: str, schema: dict[str, Any]) -> str:
    about = f" – {escape(schema['description'])}" if "description" in schema else ""
    table = _table(schema.get("properties", {}), schema.get("required", ()))
    return f"<p><code>{escape(title)}</code>{about}</p>{table}"


def _details(title: str, about: str, inside: str) -> str:
    return f"<details><summary>{title} <span>{escape(about)}</span></summary>{inside}</details>"


def _table(properties: dict[str, Any], required: Any) -> str:
    if not properties:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_type(schema))}</td>"
        f"<td>{'needed' if name in required else ''}</td>"
        f"<td>{escape(schema.get('description', ''))}</td></tr>"
        for name, schema in properties.items()
    )
    head = "<tr><th>name</th><th>type</th><th></th><th></th></tr>"
    return f"<div class='table'><table>{head}{rows}</table></div>"


def _type(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(map(_type, schema["anyOf"]))
    type_ = schema.get("type", "any")
    said = " | ".join(type_) if isinstance(type_, list) else type_
    if said == "array" and schema.get("items"):
        return f"list of {_type(schema['items'])}"
    limits = [
        f"{word} {schema[name]:,}"
        for name, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))
        if name in schema
    ]
    return " ".join([said, *limits])
