"""The PersonaPlex model in plain PyTorch: language model, Mimi codec, loading, KV cache, sampling.

It knows no sessions.
"""
