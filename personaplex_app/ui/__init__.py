"""Everything the browser sees: one Blocks page, one file a tab, and the plain ES modules in `static/`."""

from .quick_import import without_stub_files

with without_stub_files():
    import gradio as gradio
