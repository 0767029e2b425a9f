"""The GPT-2 of the course as an architecture of MAX, for `max serve --custom-architectures`."""

from .arch import gpt2

ARCHITECTURES = [gpt2]
