"""The PersonaPlex model in plain PyTorch: language model, Mimi codec, loading, KV cache, sampling.

Nothing in here knows of sessions, networks or event loops; `engine/` builds sessions on top of it.
"""
