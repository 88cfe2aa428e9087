"""The models and what runs them.  Whoever imports onnxruntime imports this package first."""

import os

# Its wheels for Linux and macOS would otherwise keep an id of this machine in the user's home, and send what
# is run and how long it takes to Microsoft.  It reads this once, when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
