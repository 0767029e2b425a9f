"""`tutor serve`: a model behind OpenAI's API for completions, with the rows of the engine track."""
