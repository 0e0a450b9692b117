"""What everybody says first and in between, whatever the role: a layer above every persona."""
