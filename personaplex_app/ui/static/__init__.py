"""The folder of the browser's files."""

from pathlib import Path

from ...audio import ACCEPTED_FORMATS

STATIC = Path(__file__).resolve().parent
FORMATS_HERE = "ACCEPTED_FORMATS"


def read_static(name: str) -> str:
    """Return a file of this folder as text; where it asks for the formats of recordings, they are in it."""
    text = (STATIC / name).read_text(encoding="utf-8")
    return text.replace(FORMATS_HERE, ",".join(ACCEPTED_FORMATS)) if name.endswith(".html") else text


def mount_script(module: str) -> str:
    """Return the JavaScript with which a `gr.HTML` (prop `static_dir`) mounts itself from one of this
    folder's modules.
    """
    return (
        "const root = new URL(window.gradio_config?.root || '.',"
        " window.location.href).pathname.replace(/[/]$/, '');import(root + '/gradio_api/file=' +"
        f" props.static_dir + '/{module}').then((module) => module.mount(element, props, watch, trigger));"
    )
