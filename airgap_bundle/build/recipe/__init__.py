"""Container images made here: a recipe is read, its layers are filled from locked parts, and an image is written.

recipe_file ─▶ layer_parts ─▶ layer_build ─▶ image ─▶ kind
"""
