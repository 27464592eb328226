"""Readers of public price catalogues: each turns one published file into rows of our own price file."""
