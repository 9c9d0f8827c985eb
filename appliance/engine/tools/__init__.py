"""Calls of tools: what a model is offered, how its template words them, and what it says when it makes one."""
