"""The same work done with three clients, each as its own documentation shows it.

Run as files, not as modules: two of them live in a virtual environment that has nothing of ours.
"""
