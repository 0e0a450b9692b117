"""The folder of the browser's files."""

from pathlib import Path

STATIC = Path(__file__).resolve().parent


def read_static(name: str) -> str:
    """Return a file of this folder as text."""
    return (STATIC / name).read_text(encoding="utf-8")


def mount_script(module: str) -> str:
    """Return the JavaScript with which a `gr.HTML` (prop `static_dir`) mounts itself from one of this
    folder's modules.
    """
    return (
        "const root = new URL(window.gradio_config?.root || '.',"
        " window.location.href).pathname.replace(/[/]$/, '');import(root + '/gradio_api/file=' +"
        f" props.static_dir + '/{module}').then((module) => module.mount(element, props, watch, trigger));"
    )
