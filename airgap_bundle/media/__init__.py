"""Bundles on their way: one file (``pack``), several media (``split``, ``join``), less than all (``delta``), and back.

Nothing here decides whom to trust. Whatever form a bundle travels in, ``verify`` and ``importer`` see the same files
(``opening``) and make the same checks; part lists, inventories and resume files only save time and name what is wrong.
"""
