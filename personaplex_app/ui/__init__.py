"""Everything the browser sees: one Blocks page, one file a tab, and the plain ES modules in `static/`."""
