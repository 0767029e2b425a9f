"""The bundled model, and what its tests are compared with."""
