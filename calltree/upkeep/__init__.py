"""What an administrator does around the product: back it up, restore it, look whether all is well.

Known to commands, jobs and pages; knows services and models, never a request.
"""
