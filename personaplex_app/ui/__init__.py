"""The web page: one Gradio Blocks, one module for each tab, and the plain ES modules in `static/`."""

from .quick_import import without_stub_files

with without_stub_files():
    import gradio as gradio
