"""For `pytest --nbval notebooks`: kernels inherit this environment."""

import os

# the figure itself, not plotly.js with it
os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
