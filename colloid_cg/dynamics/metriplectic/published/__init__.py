"""Trained weights of arXiv:2508.12569: the functions they stand for, and the reader of their files."""
