"""For `pytest --nbval notebooks`: kernels inherit this environment."""

import os

os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"  # the figure itself, not plotly.js with it
