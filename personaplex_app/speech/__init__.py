"""Voice activity, recognition and synthesis of speech on a plain CPU, whose weights come with their
packages.
"""
